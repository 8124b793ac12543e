"""Whether a disk has room for what is to be written."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from wheelhouse.errors import disk_full

if TYPE_CHECKING:
    from pathlib import Path


def require_space(wanted: dict[Path, int]) -> None:
    """Raise `WheelhouseError` unless the disk of each path has room for so many more bytes.

    Paths on one disk count together.
    """
    disks: dict[int, tuple[Path, int]] = {}
    for path, size in wanted.items():
        here = existing(path)
        device = here.stat().st_dev
        first, others = disks.get(device, (here, 0))
        disks[device] = (first, others + size)
    for path, size in disks.values():
        disk = shutil.disk_usage(path)
        # A file system such as /proc has no size, and says itself what is wrong.
        if disk.total and size > disk.free:
            raise disk_full(path, size)


def existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def same_disk(one: Path, other: Path) -> bool:
    """Return whether both paths lie, or would lie, on one disk."""
    return existing(one).stat().st_dev == existing(other).stat().st_dev
