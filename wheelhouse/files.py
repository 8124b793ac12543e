"""The only access to the disk: files and folders appear completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import tarfile
import time
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from wheelhouse.errors import FileError, disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# Archives are read from a fast share and unpacked once, so time matters more than the last percent of size.
_QUICK = 1
_PARTIAL = ".partial"
_OLD = ".old"
# The pattern of the names that `beside` and `building` use.
_LEFT = rf"\..+\.[0-9a-f]{{12}}({_PARTIAL}|{_OLD})"
# Bytes of a script, lock or table; anything larger is a mistake, such as a device.
LARGEST_INPUT = 64 << 20
_ABANDONED_AFTER = 24 * 3600.0
# Leaves room in the 255 bytes of a file name for prefix and suffix.
_STEM_BYTES = 100
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` in the block into a `FileError` about its path or `path`, or into that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(path) from error
        raise FileError(Path(error.filename) if isinstance(error.filename, str) else path, error) from error


def safe_path(text: str) -> bool:
    """Return whether `text` is a relative path with forward slashes that stays inside its folder on every system."""
    path = PurePosixPath(text)
    return (
        bool(text)
        and not _UNSAFE.search(text)
        and not path.is_absolute()
        and not re.match(r"[A-Za-z]:", text)
        and text == str(path)
        and text != "."
        and ".." not in path.parts
    )


def read_input(path: Path) -> bytes:
    """Return the bytes of a file or pipe that a user named. Raises `OSError`, also above `LARGEST_INPUT` bytes."""
    with path.open("rb") as source:
        data = source.read(LARGEST_INPUT + 1)
    if len(data) > LARGEST_INPUT:
        raise OSError(errno.EFBIG, f"is larger than {LARGEST_INPUT >> 20} MB", str(path))
    return data


def open_plain(path: Path) -> IO[bytes]:
    """Open the regular file `path` for reading. Raises `OSError` for a link, pipe, device or the like.

    Does not wait, as opening a pipe without a writer would.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, "is not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return os.fdopen(descriptor, "rb", buffering=0)


def read_plain(path: Path, limit: int) -> bytes:
    """Return the bytes of the regular file `path`. Raises `FileError`, also above `limit` bytes."""
    with explained(path), open_plain(path) as source:
        data = bytearray()
        while len(data) <= limit and (chunk := source.read(limit + 1 - len(data))):
            data += chunk
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit} bytes", str(path))
    return bytes(data)


def plain_sha256(path: Path, size: int) -> str:
    """Return the SHA-256 of the regular file `path` in hex, or "" if it does not have exactly `size` bytes.

    Raises `FileError`.
    """
    digest = hashlib.sha256()
    remaining = size
    with explained(path), open_plain(path) as source:
        while remaining >= 0 and (chunk := source.read(min(CHUNK, remaining + 1))):
            digest.update(chunk)
            remaining -= len(chunk)
    return digest.hexdigest() if remaining == 0 else ""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    with explained(path), path.open("rb", buffering=0) as source:
        while count := source.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def beside(path: Path) -> Path:
    """Return a new hidden name next to `path`, to create something that is then renamed to `path`."""
    return path.with_name(f"{_prefix(path)}{secrets.token_hex(6)}{_PARTIAL}")


def _prefix(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:_STEM_BYTES])}."


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically. Does not write if the file already has these bytes."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return
        partial = beside(path)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Yield a hidden name next to `path` for a file that is renamed to `path` if the block succeeds.

    Missing folders are created. Raises `FileError`, also if `path` exists and is not a regular file.
    """
    with explained(path):
        if not path.name or path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy(path)
        partial = beside(path)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def claim(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless it exists; return whether this call created it, which only one caller can do."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = beside(path)
        try:
            partial.write_bytes(data)
            _link_new(partial, path)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
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


def link(source: Path, path: Path) -> None:
    """Create the hard link `path` to `source`, or a copy if the file system does not support that."""
    with explained(path):
        try:
            os.link(source, path)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(source, path)


def copy(source: Path, path: Path) -> None:
    """Copy a file."""
    with explained(path):
        shutil.copyfile(source, path)


def copy_hashed(source: Path, path: Path) -> str:
    """Copy a file and return the SHA-256 of the written bytes, in hex; the file is read once."""
    digest = hashlib.sha256()
    # Buffered, because an unbuffered write may write fewer bytes than it was given.
    with explained(path), source.open("rb", buffering=0) as read, path.open("xb") as out:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def copy_plain(source: Path, path: Path, size: int) -> str:
    """Copy at most `size` bytes of the regular file `source`; return the SHA-256 of the written bytes, in hex.

    Raises `FileError`, also if `source` is a link, a pipe or a device.
    """
    digest = hashlib.sha256()
    with explained(path), open_plain(source) as read, path.open("xb") as out:
        while size and (chunk := read.read(min(CHUNK, size))):
            digest.update(chunk)
            out.write(chunk)
            size -= len(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def building(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield an empty folder that is renamed to `path` if the block succeeds, and deleted otherwise.

    An existing folder `path` is kept until then. With `replace` it is replaced; otherwise it is kept and the new one
    is deleted. Of several concurrent runs one wins, and none fails. Leftovers of killed runs are repaired, or deleted
    after a day.
    """
    path = path.absolute()
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tidy(path)
        partial = beside(path)
        partial.mkdir()
    try:
        yield partial
        with explained(path):
            while not _renamed(partial, path) and replace and not _exchanged(partial, path):
                old = path.with_name(f"{_prefix(path)}{secrets.token_hex(6)}{_OLD}")
                with contextlib.suppress(FileNotFoundError):  # A concurrent run has just moved it.
                    path.rename(old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        tidy(path)


def _exchanged(folder: Path, path: Path) -> bool:
    """Exchange two folders atomically, so that neither name is ever unused; return whether the system supports it.

    The old contents of `path` are then at `folder`. Linux 3.15 supports this (renameat2) on most file systems.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        return bool(libc.renameat2(here, os.fsencode(folder), here, os.fsencode(path), exchange) == 0)
    except AttributeError:  # The C library does not have it.
        return False


def _renamed(folder: Path, path: Path) -> bool:
    """Rename `folder` to `path` unless `path` exists; return whether it was renamed."""
    try:
        folder.rename(path)
    except OSError as error:
        # Windows reports that access is denied if the name exists.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) or (error.errno == errno.EACCES and path.exists()):
            return False
        raise
    return True


def tidy(path: Path) -> None:
    """Repair what killed runs for `path` left next to it, and delete what was abandoned long ago."""
    with os.scandir(path.parent) as entries:
        leftovers = [Path(entry.path) for entry in entries if re.fullmatch(_LEFT, entry.name)]
    for old in (
        entry for entry in leftovers if re.fullmatch(rf"{re.escape(_prefix(path))}[0-9a-f]{{12}}{_OLD}", entry.name)
    ):
        with contextlib.suppress(OSError):  # A concurrent run was faster.
            if not _renamed(old, path):
                shutil.rmtree(old)
    for partial in (entry for entry in leftovers if entry.name.endswith(_PARTIAL)):
        _remove_if_abandoned(partial)


def clear_abandoned(folder: Path) -> None:
    """Create `folder` for temporary files, and delete those in it that were not written to for a day."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def pack(folder: Path, path: Path, top: str) -> None:
    """Write `folder` to the archive `path` (tar, gzip) as `top`. Same contents, same bytes."""
    with (
        explained(path),
        path.open("wb") as out,
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=_QUICK, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for member in sorted(folder.rglob("*")):
            if member.is_symlink() or not member.is_dir():
                tar.add(member, f"{top}/{member.relative_to(folder).as_posix()}", recursive=False, filter=plain_member)


def plain_member(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove times and owners from `member`, so that the same files give the same archive."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
