"""Fetch the attestations of the wheels of a bundle from their indexes, and verify them on the connected side."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bundler.assessment.attestation import LIMIT, attestation_path, stated_publishers
from bundler.assessment.attestation_check import verify_attestations
from bundler.bundle_folder import Bundle
from bundler.errors import CombinedError, attempt_all
from bundler.layout import WHEELS
from wheelhouse import atomic
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.fetch.http import fetch
from wheelhouse.fetch.releases import Release
from wheelhouse.wheel import parse_filename


def add_attestations(
    folder: Path,
    releases: Mapping[str, Release],
    credentials: Credentials,
    pool: ThreadPoolExecutor,
) -> None:
    """Write the attestations that indexes offer for the wheels of the bundle `folder`, once they are verified.

    Raises `CombinedError` with all failed downloads and invalid attestations.
    """
    fetching = {}
    for name, release in releases.items():
        if release.provenance:
            fetching[name] = pool.submit(fetch, release.provenance, credentials, LIMIT)

    def add(name: str) -> None:
        data = fetching[name].result()
        verify_attestations(folder / WHEELS / name, data)
        atomic.write(folder / attestation_path(name), data)

    _, errors = attempt_all(add, fetching)
    if errors:
        raise errors[0] if len(errors) == 1 else CombinedError(errors)


def publisher_changes(old: Bundle, new: Bundle) -> list[str]:
    """Return a sentence for each project whose publisher differs between two bundles, or has disappeared."""
    before, after = _publishers_by_project(old), _publishers_by_project(new)
    present = {parse_filename(file.filename)[0] for file in new.manifest.wheels}
    changes = []
    for project, publishers in sorted(before.items()):
        now = after.get(project, set())
        if project in present and now != publishers:
            names = ", ".join(sorted(now)) or "nobody"
            changes.append(
                f"{project} was published by {', '.join(sorted(publishers))}, and is now by {names}"
            )
    return changes


def _publishers_by_project(bundle: Bundle) -> dict[str, set[str]]:
    result: dict[str, set[str]] = {}
    for name, publishers in stated_publishers(bundle).items():
        result.setdefault(parse_filename(name)[0], set()).update(publishers)
    return result
