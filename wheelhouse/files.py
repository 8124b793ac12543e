"""The one door to the disk: what is written appears whole or not at all."""

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
# Archives cross a fast share and are unpacked once: time counts more than the last percent of size.
_QUICK = 1
_PARTIAL = ".partial"
_OLD = ".old"
# What `beside` and `building` call things, whatever they are for.
_LEFT = rf"\..+\.[0-9a-f]{{12}}({_PARTIAL}|{_OLD})"
# Bytes of a script, a lock, a table and the like; more is a mistake, such as a device.
LARGEST_INPUT = 64 << 20
_ABANDONED_AFTER = 24 * 3600.0
# Leaves room in the 255 bytes of a file name for what goes around it.
_STEM_BYTES = 100
_UNSAFE = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `FileError` that names `path`, or the one of a full disk."""
    try:
        yield
    except OSError as fault:
        if fault.errno in DISK_FULL:
            raise disk_full(path) from fault
        raise FileError(Path(fault.filename) if isinstance(fault.filename, str) else path, fault) from fault


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
    """Return the bytes of a file or a pipe that a person named; raise `OSError`, also for more than `LARGEST_INPUT`."""
    with path.open("rb") as source:
        data = source.read(LARGEST_INPUT + 1)
    if len(data) > LARGEST_INPUT:
        raise OSError(errno.EFBIG, f"is larger than {LARGEST_INPUT >> 20} MB", str(path))
    return data


def open_plain(path: Path) -> IO[bytes]:
    """Open the regular file at `path` itself for reading; raise `OSError` for a link, a pipe, a device and the like.

    Nothing is waited for: opening a pipe that nobody writes to would never end.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as fault:
        if fault.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, "is no plain file", str(path)) from fault
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    return os.fdopen(descriptor, "rb", buffering=0)


def read_plain(path: Path, limit: int) -> bytes:
    """Return the bytes of the regular file at `path`; raise `FileError`, also where it has more than `limit` bytes."""
    with explained(path), open_plain(path) as source:
        data = bytearray()
        while len(data) <= limit and (chunk := source.read(limit + 1 - len(data))):
            data += chunk
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit} bytes", str(path))
    return bytes(data)


def plain_sha256(path: Path, size: int) -> str:
    """Return the SHA-256 in hex of the first `size` bytes of the regular file at `path`, "" if it has more or fewer.

    Raises `FileError`.
    """
    digest = hashlib.sha256()
    left = size
    with explained(path), open_plain(path) as source:
        while left >= 0 and (chunk := source.read(min(CHUNK, left + 1))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest() if left == 0 else ""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex, reading `CHUNK` bytes at a time."""
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    with explained(path), path.open("rb", buffering=0) as source:
        while count := source.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def beside(path: Path) -> Path:
    """Return a fresh hidden name in the folder of `path`, for building what is then renamed to it."""
    return path.with_name(f"{_prefix(path)}{secrets.token_hex(6)}{_PARTIAL}")


def _prefix(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:_STEM_BYTES])}."


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old bytes or all of the new ones. Same bytes: no write."""
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


def claim(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless that exists; return whether this call made it, which only one of two does."""
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
    """Give `source` the second name `path`; raise `FileExistsError` where that is taken."""
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: an exclusive create is the next best, whole but for a crash in between.
        with path.open("xb") as out:
            out.write(source.read_bytes())


def link(source: Path, path: Path) -> None:
    """Give `source` the second name `path`, or copy it where the file system has no links between the two."""
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
    """Copy a file and return the SHA-256 of the bytes that were written, in hex: read once, hashed on the way."""
    digest = hashlib.sha256()
    # Buffered writing, because an unbuffered one may write less than it was given and say so only in its result.
    with explained(path), source.open("rb", buffering=0) as read, path.open("xb") as out:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def building(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield an empty folder beside `path`; when the block ends well it becomes `path`, else it vanishes.

    A folder that was at `path` stays until the new one is whole. With `replace` the new one then takes its place,
    without it the old one stays and the new one vanishes. Of several runs at once one wins, and none fails. What a
    killed run left behind is repaired or, after a day, removed.
    """
    path = path.absolute()
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        partial = beside(path)
        partial.mkdir()
    try:
        yield partial
        with explained(path):
            while not _renamed(partial, path) and replace and not _exchanged(partial, path):
                old = path.with_name(f"{_prefix(path)}{secrets.token_hex(6)}{_OLD}")
                with contextlib.suppress(FileNotFoundError):  # another run has just moved it
                    path.rename(old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _tidy(path)


def _exchanged(folder: Path, path: Path) -> bool:
    """Let two folders change names at once, so that neither name is ever free; return whether the system could.

    What was at `path` is then at `folder`, and goes with it. Linux can (renameat2, 3.15) on most file systems.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        return bool(libc.renameat2(here, os.fsencode(folder), here, os.fsencode(path), exchange) == 0)
    except AttributeError:  # a C library without it
        return False


def _renamed(folder: Path, path: Path) -> bool:
    """Rename `folder` to `path` unless something is there already; return whether it was renamed."""
    try:
        folder.rename(path)
    except OSError as fault:
        # Windows says that access is denied where the name is taken.
        if fault.errno in (errno.ENOTEMPTY, errno.EEXIST) or (fault.errno == errno.EACCES and path.exists()):
            return False
        raise
    return True


def _tidy(path: Path) -> None:
    """Repair what runs for `path` left beside it: one killed between its two renames, or long abandoned."""
    with os.scandir(path.parent) as entries:
        left = [Path(entry.path) for entry in entries if re.fullmatch(_LEFT, entry.name)]
    for old in (
        entry for entry in left if re.fullmatch(rf"{re.escape(_prefix(path))}[0-9a-f]{{12}}{_OLD}", entry.name)
    ):
        with contextlib.suppress(OSError):  # the run that it belongs to, or another like this one, was faster
            if not _renamed(old, path):
                shutil.rmtree(old)
    for partial in (entry for entry in left if entry.name.endswith(_PARTIAL)):
        _remove_if_abandoned(partial)


def clear_abandoned(folder: Path) -> None:
    """Make `folder`, for files in the making only, and remove those in it that nobody has written to for a day."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def pack(folder: Path, path: Path, top: str) -> None:
    """Write what is in `folder` to the archive `path` (tar, gzip) below the name `top`; same contents, same bytes."""
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
    """Take times and owners out of `member`, so that the same files give the same archive."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
