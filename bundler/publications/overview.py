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
from bundler.layout import README
from bundler.publications.aliases import aliases
from bundler.publications.leases import leases
from bundler.publications.strategy import read_strategy
from bundler.publications.usage import Published, published
from bundler.units import size_text
from wheelhouse import files
from wheelhouse.store.sharing import names_of
from wheelhouse.store.store import Store

_HEADINGS = ("publication", "published", "by", "targets", "own size", "shared", "last use")


def overview(store: Store) -> list[dict[str, Any]]:
    """Return the publications of `store`, the oldest first, as `bundler store list --json` prints them.

    Sizes are in bytes: `own` is what no other publication uses, `shared` the rest. Times are in UTC, by the clock of
    the file server; `last-use` is the newest submission. `damaged` publications have no readable manifest.
    """
    entries = published(store)
    users = Counter(digest for entry in entries for digest in _sizes(entry))
    names: dict[str, list[str]] = {}
    for name, target in aliases(store).items():
        names.setdefault(target, []).append(name)
    return [_row(store, entry, users, names.get(entry.name, [])) for entry in entries]


def _row(
    store: Store, entry: Published, users: Mapping[str, int], names: Sequence[str]
) -> dict[str, Any]:
    own = shared = 0
    for digest, size in _sizes(entry).items():
        if users[digest] == 1:
            own += size
        else:
            shared += size
    submitted = leases(store, entry.name)
    manifest = entry.manifest
    with files.explained(entry.folder):
        owner, _ = names_of(entry.folder.stat())
    return {
        "name": entry.name,
        "path": str(entry.folder),
        "bundle": manifest.name if manifest else None,
        "published": utc(entry.time),
        "user": owner,
        "targets": [target.name for target in manifest.targets] if manifest else [],
        "own": own,
        "shared": shared,
        "last-use": utc(submitted[-1].time) if submitted else None,
        "aliases": list(names),
        "damaged": manifest is None,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return `rows` of `overview` as lines of text."""
    if not rows:
        return []
    texts = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    lines = []
    for line in texts:
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        row["published"][:16].replace("T", " "),
        row["user"],
        "damaged" if row["damaged"] else str(len(row["targets"])),
        size_text(row["own"]),
        size_text(row["shared"]),
        (row["last-use"] or "-")[:10],
    )


def details(store: Store, entry: Published) -> dict[str, Any]:
    """Return the row of `entry` in `overview`, with its strategy and what changed since the previous publication.

    The previous one is the newest older publication of a bundle of the same name. Raises `BundlerError`.
    """
    (row,) = (row for row in overview(store) if row["name"] == entry.name)
    previous = _previous(store, entry)
    return {
        **row,
        "strategy": read_strategy(entry.folder).name,
        "submissions": [
            {"project": lease.project, "time": utc(lease.time)}
            for lease in leases(store, entry.name)
        ],
        "previous": previous.name if previous else None,
        "changes": _changes(previous, entry),
    }


def _previous(store: Store, entry: Published) -> Published | None:
    """Return the newest publication of a bundle of the same name that is older than `entry`, or None."""
    if entry.manifest is None:
        return None
    for other in reversed(published(store)):
        if (
            other.manifest
            and other.manifest.name == entry.manifest.name
            and other.time < entry.time
        ):
            return other
    return None


def _changes(previous: Published | None, entry: Published) -> list[str]:
    if previous is None or previous.manifest is None or entry.manifest is None:
        return []
    return changes(previous.manifest, entry.manifest)


def published_packages(store: Store) -> Packages:
    """Return the packages of all publications of `store` with their uses, since their publication."""
    return merged(
        packages_of(entry.manifest, entry.name, utc(entry.time))
        for entry in published(store)
        if entry.manifest
    )


def statistics(store: Store) -> dict[str, int]:
    """Return the numbers of publications, projects and files, and bytes, of `store`. Raises `FileError`."""
    in_use = {digest for entry in published(store) for digest in _sizes(entry)}
    wheels = sizes = unused = unused_size = 0
    for digest, size in _stored(store.path / "files"):
        wheels += 1
        sizes += size
        if digest not in in_use:
            unused += 1
            unused_size += size
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
    paths: dict[str, str] = {}
    for entry in published(store):
        for file in entry.manifest.files if entry.manifest else ():
            # Publications have a README of their own.
            if file.path != README:
                paths[file.sha256] = file.path
    return [
        f"{digest}  {path}"
        for path, digest in sorted((path, digest) for digest, path in paths.items())
    ]


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
    lines = [f"{label:11}  {text}" for label, text in rows.items() if text]
    return lines + [f"  {line}" for line in details["changes"]]
