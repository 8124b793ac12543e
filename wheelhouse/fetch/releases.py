"""What an index says about a file: when it was uploaded, and whether it should still be used (PEP 700, 592, 792)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from wheelhouse.errors import WheelhouseError, redacted
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.fetch.http import Client, FetchError
from wheelhouse.fetch.listing import list_files
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
    wheels: Iterable[Wheel],
    elsewhere: Callable[[str], Sequence[str]],
    credentials: Credentials | None = None,
) -> dict[str, Release]:
    """Return a release for each file name; wheels that no JSON page lists are left out.

    The index of a wheel is that in the lock, or one that `elsewhere` returns for its project. Raises `WheelhouseError`
    if an index fails that may know about a wheel of which no other one says anything.
    """
    by_project: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        by_project.setdefault(wheel.project, []).append(wheel)
    client = Client(_THREADS, credentials)

    def ask(project: str) -> tuple[dict[str, Release], list[str]]:
        return _of_project(project, by_project[project], elsewhere(project), client)

    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            answers = list(pool.map(ask, by_project))
    finally:
        client.close()
    releases: dict[str, Release] = {}
    failures: list[str] = []
    for found, failed in answers:
        releases.update(found)
        failures += failed
    if failures:
        raise WheelhouseError(
            "indexes did not say what they know about wheels of this bundle",
            facts=sorted(failures),
            hint="try again later; without provenance and attestations, `bundle` does not ask",
        )
    return releases


def _of_project(
    project: str,
    wheels: Sequence[Wheel],
    elsewhere: Sequence[str],
    client: Client,
) -> tuple[dict[str, Release], list[str]]:
    """Return a release for each file name of `project`; if some are unknown, also which indexes failed, and why."""
    own = [wheel.index for wheel in wheels if wheel.index]
    failures: list[str] = []
    releases: dict[str, Release] = {}
    for index in dict.fromkeys([*own, *elsewhere]):
        if not index.startswith(("http:", "https:")):
            continue
        # Not every index has every project, but the one that a wheel comes from has this one.
        read = functools.partial(_read, client, failures, may_refuse=index not in own)
        listed = {(file.filename, file.sha256): file for file in list_files(project, index, read)}
        for wheel in wheels:
            file = listed.get((wheel.filename, wheel.sha256))
            if file and file.status and wheel.filename not in releases:
                releases[wheel.filename] = Release(
                    uploaded=file.uploaded,
                    yanked=file.yanked,
                    status=file.status,
                    provenance=file.provenance,
                )
    if all(wheel.filename in releases for wheel in wheels):
        return releases, []
    return releases, failures


def _read(
    client: Client,
    failed: list[str],
    url: str,
    limit: int,
    accept: str | None,
    *,
    may_refuse: bool,
) -> bytes:
    """Return the bytes at `url`; add the reason to `failed` if it cannot be read. Raises `FetchError`."""
    try:
        return client.read(url, limit, accept)
    except FetchError as error:
        if not (may_refuse and error.refused):
            failed.append(f"{redacted(url)}: {error}")
        raise
