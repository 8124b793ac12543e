"""Search simple indexes (PEP 503) for a file by its digest."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin

from wheelhouse.http import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def mirrors(project: str, sha256: str, indexes: Iterable[str], read: Callable[[str], bytes]) -> Iterator[str]:
    """Yield the URLs of the file of `project` with the digest `sha256` on `indexes`, in order.

    `read` returns the bytes at a URL or raises `FetchError`; an index that cannot be read is skipped.
    """
    for index in indexes:
        # A local folder of wheels is not an index page.
        page = f"{index.rstrip('/')}/{project}/" + ("index.html" if index.startswith("file:") else "")
        links = _Links()
        try:
            links.feed(read(page).decode(errors="replace"))
            places = [urldefrag(urljoin(page, link)) for link in links.found]
        except (FetchError, ValueError, AssertionError):  # From HTTP, the URL, or the HTML parser.
            continue
        for url, fragment in places:
            # Only a local index may link to local files.
            schemes = ("http:", "https:", "file:") if index.startswith("file:") else ("http:", "https:")
            if fragment == f"sha256={sha256}" and url.startswith(schemes):
                yield url


class _Links(HTMLParser):
    """The targets of the links on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the target of a link."""
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
