"""What an index says about a file: when it was uploaded, and whether it should still be used (PEP 700, 592, 792)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelhouse.http import Client
from wheelhouse.listing import ListedFile, list_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wheelhouse.credentials import Credentials
    from wheelhouse.wheel import Wheel

_THREADS = 8


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
            files_there = list_files(project, place, client.read) if place.startswith(("http:", "https:")) else []
            listed = {(file.filename, file.sha256): _release(file, file.status) for file in files_there if file.status}
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


def _release(file: ListedFile, status: str) -> Release:
    return Release(uploaded=file.uploaded, yanked=file.yanked, status=status, provenance=file.provenance)
