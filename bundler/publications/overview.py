"""What a store contains: its publications with their sizes and uses, and totals."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bundler.assessment.audit import Packages, merged, packages_of
from bundler.bundles.upgrade import changes
from bundler.publications.aliases import aliases
from bundler.publications.leases import leases
from bundler.publications.strategy import read_strategy
from bundler.publications.usage import Published, published
from bundler.units import size_text
from wheelhouse import files
from wheelhouse.sharing import names_of
from wheelhouse.store import Store

_HEADINGS = ("publication", "published", "by", "targets", "own size", "shared", "last use")


def overview(store: Store) -> list[dict[str, Any]]:
    """Return the publications of `store`, the oldest first, as `bundler store list --json` prints them.

    Sizes are in bytes: `own` is what no other publication uses, `shared` the rest. Times are in UTC, by the clock of
    the file server; `last-use` is the newest submission. `damaged` publications have no readable manifest.
    """
    entries = published(store)
    users = Counter(digest for entry in entries for digest in _sizes(entry))
    names = aliases(store)
    return [
        _row(store, entry, users, [name for name, target in names.items() if target == entry.name]) for entry in entries
    ]


def _row(store: Store, entry: Published, users: Mapping[str, int], names: Sequence[str]) -> dict[str, Any]:
    sizes = _sizes(entry)
    last = max((lease.time for lease in leases(store, entry.name)), default=None)
    with files.explained(entry.folder):
        owner, _ = names_of(entry.folder.stat())
    return {
        "name": entry.name,
        "path": str(entry.folder),
        "bundle": entry.manifest.name if entry.manifest else None,
        "published": utc(entry.time),
        "user": owner,
        "targets": [target.name for target in entry.manifest.targets] if entry.manifest else [],
        "own": sum(size for digest, size in sizes.items() if users[digest] == 1),
        "shared": sum(size for digest, size in sizes.items() if users[digest] > 1),
        "last-use": utc(last) if last is not None else None,
        "aliases": list(names),
        "damaged": entry.manifest is None,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return `rows` of `overview` as lines of text."""
    if not rows:
        return []
    texts = [
        (
            row["name"],
            row["published"][:16].replace("T", " "),
            row["user"],
            "damaged" if row["damaged"] else str(len(row["targets"])),
            size_text(row["own"]),
            size_text(row["shared"]),
            (row["last-use"] or "-")[:10],
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *texts, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in [_HEADINGS, *texts]
    ]
    return [line.rstrip() for line in lines]


def details(store: Store, entry: Published) -> dict[str, Any]:
    """Return the row of `entry` in `overview`, with its strategy and what changed since the previous publication.

    The previous one is the newest older publication of a bundle of the same name. Raises `BundlerError`.
    """
    row = next(row for row in overview(store) if row["name"] == entry.name)
    earlier = [
        other
        for other in published(store)
        if other.manifest and entry.manifest and other.manifest.name == entry.manifest.name and other.time < entry.time
    ]
    previous = earlier[-1] if earlier else None
    return {
        **row,
        "strategy": read_strategy(entry.folder).name,
        "submissions": [{"project": lease.project, "time": utc(lease.time)} for lease in leases(store, entry.name)],
        "previous": previous.name if previous else None,
        "changes": changes(previous.manifest, entry.manifest)
        if previous and previous.manifest and entry.manifest
        else [],
    }


def published_packages(store: Store) -> Packages:
    """Return the packages of all publications of `store` with their uses, since their publication."""
    return merged(
        packages_of(entry.manifest, entry.name, utc(entry.time)) for entry in published(store) if entry.manifest
    )


def statistics(store: Store) -> dict[str, int]:
    """Return the numbers of publications, projects and files, and bytes, of `store`. Raises `FileError`."""
    in_use = {digest for entry in published(store) for digest in _sizes(entry)}
    wheels = sizes = unused = unused_size = 0
    for digest, size in _stored(store.path / "files"):
        wheels, sizes = wheels + 1, sizes + size
        if digest not in in_use:
            unused, unused_size = unused + 1, unused_size + size
    return {
        "publications": len(published(store)),
        "projects": len(store.projects()),
        "wheels": wheels,
        "bytes": sizes,
        "unused": unused,
        "unused-bytes": unused_size,
    }


def digests(store: Store) -> list[str]:
    """Return lines in the format of sha256sum for every file of every publication, for deltas (see `digests_of`)."""
    files_of = {
        file.sha256: file.path
        for entry in published(store)
        for file in (entry.manifest.files if entry.manifest else ())
        if file.path != "README.txt"  # Publications have a README of their own.
    }
    return [f"{digest}  {path}" for digest, path in sorted(files_of.items(), key=lambda item: (item[1], item[0]))]


def utc(time: float) -> str:
    """Return `time`, in seconds since 1970, in UTC (ISO 8601)."""
    return f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _sizes(entry: Published) -> dict[str, int]:
    return {file.sha256: file.size for file in entry.manifest.files} if entry.manifest else {}


def _stored(folder: Path) -> Iterable[tuple[str, int]]:
    """Yield the digest and size of each wheel in `files/`."""
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".whl"):
                yield os.path.basename(base), os.stat(os.path.join(base, name)).st_size  # noqa: PTH116, PTH118, PTH119 - 20,000 of them


def detail_lines(details: Mapping[str, Any]) -> list[str]:
    """Return `details` as lines of text."""
    jobs = [f"{lease['project']} ({lease['time'][:10]})" for lease in details["submissions"]]
    rows = {
        "publication": details["name"],
        "bundle": details["bundle"] or "damaged",
        "published": f"{details['published'][:16].replace('T', ' ')} by {details['user']}",
        "strategy": details["strategy"],
        "targets": ", ".join(details["targets"]),
        "size": f"{size_text(details['own'])} of its own, {size_text(details['shared'])} shared",
        "aliases": ", ".join(details["aliases"]),
        "submissions": ", ".join(jobs),
        "previous": details["previous"] or "",
    }
    return [f"{label:11}  {text}" for label, text in rows.items() if text] + [
        f"  {line}" for line in details["changes"]
    ]
