"""Add the wheels of a bundle to the store, and repair the publications that share damaged ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bundler.manifest import File
from bundler.progress import Progress, Report
from bundler.publications.strategy import Draft
from bundler.units import counted
from wheelhouse import adding, atomic, files
from wheelhouse.errors import StoreError
from wheelhouse.space import require_space
from wheelhouse.store import Store


def store_wheels(draft: Draft, others: int = 0, *, report: Report) -> int:
    """Add the wheels of the bundle to the store; return how many of them were not there, or damaged.

    Requires space for `others` bytes in addition. Publications that share a damaged file get the good one. Raises the
    errors of `adding.add`.
    """
    wheels = draft.wheels
    before = [_inode(stored(draft, file)) for file in wheels]
    absent = sum(file.size for file, inode in zip(wheels, before, strict=True) if inode is None)
    require_space({draft.store.path: absent + others})
    errors: list[StoreError] = []
    added = adding.add(
        draft.store, [(draft.bundle / file.path, file.sha256) for file in wheels], draft.bundle.name, errors.append
    )
    done = restored = 0
    total = sum(wheel.size for wheel in wheels)
    replaced: dict[tuple[int, int], Path] = {}
    for file, inode, (path, is_new) in zip(wheels, before, added, strict=True):
        done, restored = done + file.size, restored + is_new
        if inode is not None and _inode(path) != inode:
            replaced[inode] = path
        report(Progress(text=f"Publishing {counted(len(wheels), 'wheel')}", done=done, total=total))
    if replaced:
        _link_again(draft.store, replaced)
    for error in errors:
        report(Progress(kind="warning", text=str(error)))
    return restored


def _link_again(store: Store, replaced: Mapping[tuple[int, int], Path]) -> None:
    """Replace the wheels of publications that are hard links to damaged files, which were `replaced` in the store."""
    for path in store.publications.glob("*/wheels/*"):
        good = replaced.get(_inode(path) or (0, 0))
        if good is not None and good.name == path.name:
            partial = atomic.beside(path, store.scratch)
            files.link(good, partial)
            with files.explained(path):
                partial.replace(path)


def _inode(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of `path`, or None if it does not exist."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def stored(draft: Draft, file: File) -> Path:
    """Return the path of a wheel of the bundle in the store."""
    return draft.store.file(file.path.removeprefix("wheels/"), file.sha256)
