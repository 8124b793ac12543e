"""Other places of a file: what simple indexes (PEP 503) list under the same digest."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin

from wheelhouse.http import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def mirrors(project: str, sha256: str, indexes: Iterable[str], read: Callable[[str], bytes]) -> Iterator[str]:
    """Yield the URLs at which `indexes`, in turn, list a file of `project` with the digest `sha256`.

    `read` returns the bytes at a URL or raises `FetchError`; an index that cannot be read lists nothing.
    """
    for index in indexes:
        # A folder on disk is no page.
        page = f"{index.rstrip('/')}/{project}/" + ("index.html" if index.startswith("file:") else "")
        links = _Links()
        try:
            links.feed(read(page).decode(errors="replace"))
            places = [urldefrag(urljoin(page, link)) for link in links.found]
        except (FetchError, ValueError, AssertionError):  # of HTTP, of a URL, of HTML
            continue
        for url, fragment in places:
            # What lies on this machine is for an index on this machine to offer.
            schemes = ("http:", "https:", "file:") if index.startswith("file:") else ("http:", "https:")
            if fragment == f"sha256={sha256}" and url.startswith(schemes):
                yield url


class _Links(HTMLParser):
    """Where the anchors of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an anchor."""
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
