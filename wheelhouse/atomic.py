"""Files and folders that appear completely or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from wheelhouse.errors import FileError
from wheelhouse.files import explained, make_folder

_PARTIAL = ".partial"
_OLD = ".old"
# The pattern of the names that `beside` and `building` use.
_LEFT = re.compile(rf"\..+\.[0-9a-f]{{12}}({_PARTIAL}|{_OLD})")
_ABANDONED_AFTER = 24 * 3600.0
# Leaves room in the 255 bytes of a file name for prefix and suffix.
_STEM_BYTES = 100


def beside(path: Path, scratch: Path | None = None) -> Path:
    """Return a new hidden name next to `path`, or in `scratch`, to create what is then renamed to `path`."""
    return (scratch or path.parent) / f"{_prefix(path)}{secrets.token_hex(6)}{_PARTIAL}"


def _prefix(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:_STEM_BYTES])}."


def write(path: Path, data: bytes, scratch: Path | None = None) -> bool:
    """Write `data` to `path` atomically; return False if it is a regular file that already has these bytes."""
    with explained(path):
        if _has_bytes(path, data):
            return False
        _write_and_place(path, data, scratch, os.replace)
    return True


def _has_bytes(path: Path, data: bytes) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size == len(data):
            return path.read_bytes() == data
    return False


def _write_and_place(
    path: Path,
    data: bytes,
    scratch: Path | None,
    place: Callable[[Path, Path], object],
) -> None:
    make_folder(scratch or path.parent)
    partial = beside(path, scratch)
    try:
        partial.write_bytes(data)
        placed(partial, path, place)
    finally:
        partial.unlink(missing_ok=True)


def placed(
    partial: Path,
    path: Path,
    place: Callable[[Path, Path], object] = os.replace,
) -> None:
    """Rename `partial` to `path`, or put it there with `place`; create its folder again if somebody removes it.

    Empty folders of a store may be removed at any time. Raises `OSError`.
    """
    while True:
        try:
            place(partial, path)
        except FileNotFoundError:
            if not partial.exists():
                raise
            make_folder(path.parent)
        else:
            return


@contextlib.contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Yield a hidden name next to `path` for a file that is renamed to `path` if the block succeeds.

    Missing folders are created. Raises `FileError`, also if `path` exists and is not a regular file: nobody means to
    replace a link, a pipe or a device.
    """
    with explained(path):
        _require_file_or_nothing(path)
        make_folder(path.parent)
        tidy(path)
        partial = beside(path)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _require_file_or_nothing(path: Path) -> None:
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def claim(path: Path, data: bytes, scratch: Path | None = None) -> bool:
    """Write `data` to `path` unless it exists; return whether this call created it, which only one caller can do."""
    with explained(path):
        if os.path.lexists(path):
            return False
        make_folder(path.parent)
        try:
            _write_and_place(path, data, scratch, _link_new)
        except FileExistsError:
            return False
    return True


def _link_new(source: Path, path: Path) -> None:
    """Create the hard link `path` to `source`. Raises `FileExistsError` if `path` exists."""
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:
        # Without hard links, an exclusive create comes closest; it is incomplete only after a crash.
        with path.open("xb") as out:
            out.write(source.read_bytes())


@contextlib.contextmanager
def building(path: Path, *, replace: bool = True, scratch: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder next to `path`, or in `scratch`, that is renamed to `path` if the block succeeds.

    It is deleted otherwise. An existing folder `path` is kept until then. With `replace` it is replaced; otherwise it
    is kept and the new one is deleted. Of several concurrent runs one wins, and none fails. Leftovers of killed runs
    are repaired, or deleted after a day.
    """
    path = path.absolute()
    with explained(path):
        make_folder(path.parent)
        tidy(path, scratch)
        partial = beside(path, scratch)
        partial.mkdir()
    try:
        yield partial
        with explained(path):
            while not _renamed(partial, path):
                if not replace or _exchanged(partial, path):
                    break
                old = beside(path, scratch).with_suffix(_OLD)
                with contextlib.suppress(FileNotFoundError):  # A concurrent run has just moved it.
                    path.rename(old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        tidy(path, scratch)


def _exchanged(folder: Path, path: Path) -> bool:
    """Exchange two folders atomically, so that neither name is ever unused; return whether the system supports it.

    The old contents of `path` are then at `folder`. Linux 3.15 supports this (renameat2) on most file systems.
    """
    if sys.platform != "linux":
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        import ctypes  # noqa: PLC0415 - some builds of Python do not have it

        libc = ctypes.CDLL(None, use_errno=True)
        code = libc.renameat2(here, os.fsencode(folder), here, os.fsencode(path), exchange)
    except (ImportError, AttributeError):  # This Python or its C library does not support it.
        return False
    return bool(code == 0)


def _renamed(folder: Path, path: Path) -> bool:
    """Rename `folder` to `path` unless `path` exists; return whether it was renamed."""
    try:
        folder.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        # Windows reports that access is denied if the name exists.
        if error.errno == errno.EACCES and path.exists():
            return False
        raise
    return True


def tidy(path: Path, scratch: Path | None = None) -> None:
    """Repair what killed runs for `path` left next to it, or in `scratch`, and delete what was abandoned long ago."""
    with os.scandir(scratch or path.parent) as entries:
        leftovers = [Path(entry.path) for entry in entries if _LEFT.fullmatch(entry.name)]
    prefix = _prefix(path)
    partials = []
    for left in leftovers:
        start = left.stem.rpartition(".")[0]
        if left.suffix == _PARTIAL:
            partials.append(left)
        elif f"{start}." == prefix:
            with contextlib.suppress(OSError):  # A concurrent run was faster.
                if not _renamed(left, path):
                    shutil.rmtree(left)
    _remove_abandoned(partials)


def clear_abandoned(folder: Path) -> None:
    """Create `folder` for temporary files, and delete those in it that were not written to for a day."""
    with explained(folder):
        make_folder(folder)
        _remove_abandoned(folder.iterdir())


def now(folder: Path) -> float:
    """Return the time in seconds since 1970 by the clock of the file system of `folder`.

    Raises `FileError` if nothing can be written there.
    """
    with explained(folder), tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b" ")  # Some servers set the time only then.
        probe.flush()
        return float(os.fstat(probe.fileno()).st_mtime)


def _remove_abandoned(paths: Iterable[Path]) -> None:
    """Delete those of `paths`, all in one folder, that were not written to for a day, by the clock of their server."""
    remaining = list(paths)
    if not remaining:
        return
    with contextlib.suppress(FileError):  # A folder that cannot be written to.
        current = now(remaining[0].parent)
        for path in remaining:
            with contextlib.suppress(OSError):
                if current - _last_written(path) > _ABANDONED_AFTER:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _last_written(path: Path) -> float:
    times = [path.lstat().st_mtime]
    if path.is_dir() and not path.is_symlink():
        times += [entry.lstat().st_mtime for entry in path.rglob("*")]
    return max(times)
