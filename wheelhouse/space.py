"""Check for free disk space."""

from __future__ import annotations

import shutil
from pathlib import Path

from wheelhouse.errors import disk_full


def require_space(sizes: dict[Path, int]) -> None:
    """Raise `WheelhouseError` unless the disk of each path has room for the given number of bytes.

    Paths on the same disk are added up.
    """
    disks: dict[int, tuple[Path, int]] = {}
    for path, size in sizes.items():
        place = _existing(path)
        device = place.stat().st_dev
        first, others = disks.get(device, (place, 0))
        disks[device] = (first, others + size)
    for place, size in disks.values():
        disk = shutil.disk_usage(place)
        # A file system such as /proc has no size, and fails with its own error.
        if disk.total and size > disk.free:
            raise disk_full(place, size)


def _existing(path: Path) -> Path:
    """Return `path`, or its nearest existing parent."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def same_disk(one: Path, other: Path) -> bool:
    """Return whether both paths are, or would be, on the same disk."""
    return _existing(one).stat().st_dev == _existing(other).stat().st_dev
