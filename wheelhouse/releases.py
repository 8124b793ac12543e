"""What an index says about a file: when it was uploaded, and whether it should still be used (PEP 700, 592, 792)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from wheelhouse.credentials import Credentials
from wheelhouse.errors import WheelhouseError, redacted
from wheelhouse.http import Client, FetchError
from wheelhouse.listing import ListedFile, list_files
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

    The index of a wheel is that in the lock, or one that `elsewhere` returns for its project. Raises `WheelhouseError`
    if an index fails that may know about a wheel of which no other one says anything.
    """
    by_project: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        by_project.setdefault(wheel.project, []).append(wheel)
    client = Client(_THREADS, credentials)
    failures: list[str] = []

    def of_project(item: tuple[str, list[Wheel]]) -> dict[str, Release]:
        project, files = item
        own = [wheel.index for wheel in files if wheel.index]
        failed: list[str] = []
        releases: dict[str, Release] = {}
        for place in dict.fromkeys([*own, *elsewhere(project)]):
            if not place.startswith(("http:", "https:")):
                continue
            # Not every index has every project, but the one that a wheel comes from has this one.
            read = functools.partial(_read, client, failed, may_refuse=place not in own)
            files_there = list_files(project, place, read)
            listed = {(file.filename, file.sha256): _release(file, file.status) for file in files_there if file.status}
            releases |= {
                wheel.filename: listed[wheel.filename, wheel.sha256]
                for wheel in files
                if wheel.filename not in releases and (wheel.filename, wheel.sha256) in listed
            }
        if any(wheel.filename not in releases for wheel in files):
            failures.extend(failed)
        return releases

    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            parts = pool.map(of_project, by_project.items())
            found = {name: release for part in parts for name, release in part.items()}
    finally:
        client.close()
    if failures:
        raise WheelhouseError(
            "indexes did not say what they know about wheels of this bundle",
            facts=sorted(failures),
            hint="try again later; without provenance and attestations, `bundle` does not ask",
        )
    return found


def _read(client: Client, failed: list[str], url: str, limit: int, accept: str | None, *, may_refuse: bool) -> bytes:
    """Return the bytes at `url`; add the reason to `failed` if it cannot be read. Raises `FetchError`."""
    try:
        return client.read(url, limit, accept)
    except FetchError as error:
        if not (may_refuse and error.refused):
            failed.append(f"{redacted(url)}: {error}")
        raise


def _release(file: ListedFile, status: str) -> Release:
    return Release(uploaded=file.uploaded, yanked=file.yanked, status=status, provenance=file.provenance)
