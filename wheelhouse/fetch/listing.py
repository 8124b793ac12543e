"""What an index lists for a project: its page in JSON (PEP 691) or HTML (PEP 503), with PEP 592, 700, 714, 740, 792."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

from wheelhouse.fetch.http import FetchError

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html"
# An index that knows only HTML sends that.
ACCEPT = f"{_JSON}, {_HTML};q=0.2, text/html;q=0.1"
# Bytes; the page of a project with many files has a few million.
_LIMIT = 64 << 20
# Fetches a page, as `list_files` describes.
Read = Callable[[str, int, str | None], bytes]
_STATUSES = (
    "active",
    "archived",
    "quarantined",
    "deprecated",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file on an index: `sha256` in hex if stated, `requires_python` as stated, `uploaded` in ISO 8601.

    `yanked` is the reason, possibly empty, or None. `status` is that of the project, None on an HTML page, which states
    little. `provenance` is the URL of its attestations.
    """

    filename: str
    url: str
    sha256: str | None = None
    requires_python: str | None = None
    uploaded: str | None = None
    yanked: str | None = None
    status: str | None = None
    provenance: str | None = None


def list_files(project: str, index: str, read: Read) -> list[ListedFile]:
    """Return the files of `project` on the simple `index`; none if its page cannot be read.

    `read` returns the bytes at a URL, of at most a number of bytes and of a media type, or raises `FetchError`.
    """
    is_local = index.startswith("file:")
    try:
        if is_local:
            # A local folder of wheels is not an index page.
            page = _page(index, project, "index.html")
            data = read(page, _LIMIT, None)
        else:
            page = _page(index, project, "")
            data = read(page, _LIMIT, ACCEPT)
        listed = _files(data, project, page)
    except (
        FetchError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
        RecursionError,
    ):
        return []  # From HTTP, a URL, or the parsers.
    # Only a local index may link to local files.
    schemes = ("http:", "https:", "file:") if is_local else ("http:", "https:")
    return [file for file in listed if file.url.startswith(schemes)]


def _page(index: str, project: str, name: str) -> str:
    """Return the URL of the page of `project`; a query such as a token stays. Raises `ValueError`."""
    parts = urlsplit(index)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{project}/{name}"))


def _files(data: bytes, project: str, page: str) -> list[ListedFile]:
    """Return the files on a page in JSON or HTML. Raises what its parsers and unexpected types raise."""
    text = data.decode(errors="replace")
    if not text.lstrip().startswith("{"):
        details: Any = _parsed_html(text, project)
        return [_file(file, page, None) for file in details["files"]]
    details = json.loads(text)
    status = str(details.get("project-status", {}).get("status", "active"))
    if status not in _STATUSES:
        status = "active"
    return [_file(file, page, status) for file in details["files"]]


def _parsed_html(text: str, project: str) -> Any:
    from mousebender import simple  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About newer versions of the API, which are compatible.
        return simple.from_project_details_html(text, project)


def _file(file: dict[str, Any], page: str, status: str | None) -> ListedFile:
    uploaded = _text(file.get("upload-time"))
    if uploaded and not uploaded.isprintable():
        uploaded = None
    yanked = None
    if file.get("yanked"):
        reason = _text(file["yanked"]) or ""
        yanked = "".join(filter(str.isprintable, reason))
    provenance = _text(file.get("provenance"))
    if provenance is not None:
        provenance = _joined(page, provenance)
        # An index may not refer to files of this machine.
        if not provenance.startswith(("http:", "https:")):
            provenance = None
    return ListedFile(
        filename=str(file["filename"]),
        url=_joined(page, str(file["url"])),
        sha256=_text(file.get("hashes", {}).get("sha256")),
        requires_python=_text(file.get("requires-python")),
        uploaded=uploaded,
        yanked=yanked,
        status=status,
        provenance=provenance,
    )


def _text(value: object) -> str | None:
    """Return `value` if it is a string, since an index may state anything."""
    if isinstance(value, str):
        return value
    return None


def _joined(page: str, reference: str) -> str:
    return urldefrag(urljoin(page, reference))[0]
