"""Fetch the attestations of the wheels of a bundle from their indexes, and verify them on the connected side."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bundler.assessment.attestation import LIMIT, attestation_path, stated_publishers
from bundler.assessment.attestation_check import verify_attestations
from bundler.errors import CombinedError, attempt_all
from bundler.manifest import Manifest
from wheelhouse import atomic
from wheelhouse.credentials import Credentials
from wheelhouse.http import fetch
from wheelhouse.releases import Release
from wheelhouse.wheel import parse_filename


def add_attestations(
    folder: Path, releases: Mapping[str, Release], credentials: Credentials, pool: ThreadPoolExecutor
) -> None:
    """Write the attestations that indexes offer for the wheels of the bundle `folder`, once they are verified.

    Raises `CombinedError` with all failed downloads and invalid attestations.
    """
    urls = {name: release.provenance for name, release in releases.items() if release.provenance}

    def fetched(name: str) -> tuple[str, bytes]:
        return name, fetch(urls[name], credentials, LIMIT)

    documents, errors = attempt_all(lambda future: future.result(), [pool.submit(fetched, name) for name in urls])

    def verified(item: tuple[str, bytes]) -> None:
        name, data = item
        verify_attestations(folder / "wheels" / name, data)
        atomic.write(folder / attestation_path(name), data)

    _, invalid = attempt_all(verified, documents)
    if errors or invalid:
        every = [*errors, *invalid]
        raise every[0] if len(every) == 1 else CombinedError(every)


def publisher_changes(old: tuple[Path, Manifest], new: tuple[Path, Manifest]) -> list[str]:
    """Return a sentence for each project whose publisher differs between two bundles, or has disappeared."""
    before, after = _by_project(*old), _by_project(*new)
    present = {parse_filename(file.path[7:])[0] for file in new[1].files if file.path.startswith("wheels/")}
    changes = []
    for project, publishers in sorted(before.items()):
        if project in present and after.get(project) != publishers:
            now = ", ".join(sorted(after.get(project, ()))) or "nobody"
            changes.append(f"{project} was published by {', '.join(sorted(publishers))}, and is now by {now}")
    return changes


def _by_project(folder: Path, manifest: Manifest) -> dict[str, set[str]]:
    result: dict[str, set[str]] = {}
    for name, publishers in stated_publishers(folder, manifest).items():
        result.setdefault(parse_filename(name)[0], set()).update(publishers)
    return result
