"""What an index lists for a project: its page in JSON (PEP 691) or HTML (PEP 503), with PEP 592, 700, 714, 740, 792."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

from wheelhouse.http import FetchError

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html"
# An index that knows only HTML sends that.
ACCEPT = f"{_JSON}, {_HTML};q=0.2, text/html;q=0.1"
# Bytes; the page of a project with many files has a few million.
_LIMIT = 64 << 20
_STATUSES = ("active", "archived", "quarantined", "deprecated")


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


def list_files(project: str, index: str, read: Callable[[str, int, str | None], bytes]) -> list[ListedFile]:
    """Return the files of `project` on the simple `index`; none if its page cannot be read.

    `read` returns the bytes at a URL, of at most a number of bytes and of a media type, or raises `FetchError`.
    """
    is_local = index.startswith("file:")
    try:
        # A local folder of wheels is not an index page.
        page = _page(index, project, "index.html" if is_local else "")
        details = _details(read(page, _LIMIT, None if is_local else ACCEPT), project)
        status = str(details.get("project-status", {}).get("status", "active"))
        stated = status if status in _STATUSES else "active"
        # Only a local index may link to local files.
        schemes = ("http:", "https:", "file:") if is_local else ("http:", "https:")
        listed = [_file(file, page, None if details.get("html") else stated) for file in details["files"]]
    except (FetchError, ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError):
        return []  # From HTTP, a URL, or the parsers.
    return [file for file in listed if file.url.startswith(schemes)]


def _page(index: str, project: str, name: str) -> str:
    """Return the URL of the page of `project`; a query such as a token stays. Raises `ValueError`."""
    parts = urlsplit(index)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{project}/{name}"))


def _details(data: bytes, project: str) -> Any:
    """Return the page `data` of `project` as JSON (PEP 691). Raises `ValueError`, `KeyError` or `TypeError`."""
    from mousebender import simple  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    text = data.decode(errors="replace")
    if text.lstrip().startswith("{"):
        return json.loads(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About newer versions of the API, which are compatible.
        return {**simple.from_project_details_html(text, project), "html": True}


def _file(file: dict[str, Any], page: str, status: str | None) -> ListedFile:
    yanked, uploaded, provenance = file.get("yanked"), file.get("upload-time"), file.get("provenance")
    reason = yanked if isinstance(yanked, str) else ""
    reference = _joined(page, provenance) if isinstance(provenance, str) else ""
    sha256 = file.get("hashes", {}).get("sha256")
    requires_python = file.get("requires-python")
    return ListedFile(
        filename=str(file["filename"]),
        url=_joined(page, str(file["url"])),
        sha256=sha256 if isinstance(sha256, str) else None,
        requires_python=requires_python if isinstance(requires_python, str) else None,
        uploaded=uploaded if isinstance(uploaded, str) and uploaded.isprintable() else None,
        yanked="".join(filter(str.isprintable, reason)) if yanked else None,
        status=status,
        # An index may not refer to files of this machine.
        provenance=reference if reference.startswith(("http:", "https:")) else None,
    )


def _joined(page: str, reference: str) -> str:
    return urldefrag(urljoin(page, reference))[0]
