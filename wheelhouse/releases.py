"""What an index says about a file: when it was uploaded, and whether it should still be used (PEP 700, 592, 792)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from wheelhouse.http import Client, FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wheelhouse.credentials import Credentials
    from wheelhouse.wheel import Wheel

# PEP 691.
_JSON = "application/vnd.pypi.simple.v1+json"
_THREADS = 8
# Bytes; the page of a project with many files has a few million.
_LIMIT = 64 << 20
_STATUSES = ("active", "archived", "quarantined", "deprecated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A file on an index: when it was `uploaded` (ISO 8601); `yanked` is the reason, possibly empty, or None.

    `status` is that of its project, `provenance` the URL of its attestations (PEP 740).
    """

    uploaded: str | None = None
    yanked: str | None = None
    status: str = "active"
    provenance: str | None = None

    def facts(self) -> dict[str, str | None]:
        """Return what an approver wants to know."""
        return {"uploaded": self.uploaded, "yanked": self.yanked, "status": self.status}


def find_releases(
    wheels: Iterable[Wheel], elsewhere: Callable[[str], Sequence[str]], credentials: Credentials | None = None
) -> dict[str, Release]:
    """Return a release for each file name; wheels that no JSON page lists are left out.

    The index of a wheel is that in the lock, or one that `elsewhere` returns for its project. An index that cannot be
    read is no error, since nothing depends on it.
    """
    by_project: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        by_project.setdefault(wheel.project, []).append(wheel)
    client = Client(_THREADS, credentials)

    def of_project(item: tuple[str, list[Wheel]]) -> dict[str, Release]:
        project, files = item
        places = dict.fromkeys([*(wheel.index for wheel in files if wheel.index), *elsewhere(project)])
        releases: dict[str, Release] = {}
        for place in places:
            page = f"{place.rstrip('/')}/{project}/"
            listed = _listed(client, page) if place.startswith(("http:", "https:")) else {}
            releases |= {
                wheel.filename: listed[wheel.filename, wheel.sha256]
                for wheel in files
                if wheel.filename not in releases and (wheel.filename, wheel.sha256) in listed
            }
        return releases

    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            parts = pool.map(of_project, by_project.items())
            return {name: release for part in parts for name, release in part.items()}
    finally:
        client.close()


def _listed(client: Client, page: str) -> dict[tuple[str, str], Release]:
    """Return the releases on `page` by file name and SHA-256; nothing if it is not JSON of the expected form."""
    try:
        document = json.loads(client.read(page, _LIMIT, accept=_JSON))
        status = document.get("project-status", {}).get("status", "active")
        return {
            (str(file["filename"]), str(file["hashes"]["sha256"])): _release(file, str(status), page)
            for file in document["files"]
            if "sha256" in file["hashes"]
        }
    except (FetchError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _release(file: dict[str, Any], status: str, page: str) -> Release:
    yanked, uploaded, provenance = file.get("yanked"), file.get("upload-time"), file.get("provenance")
    reason = yanked if isinstance(yanked, str) else ""
    return Release(
        uploaded=uploaded if isinstance(uploaded, str) and uploaded.isprintable() else None,
        yanked="".join(filter(str.isprintable, reason)) if yanked else None,
        status=status if status in _STATUSES else "active",
        provenance=_url(page, provenance) if isinstance(provenance, str) else None,
    )


def _url(page: str, reference: str) -> str | None:
    """Return the URL of `reference` on `page`; an index may not refer to files of this machine."""
    url = urljoin(page, reference)
    return url if url.startswith(("http:", "https:")) else None
