"""Read, copy, link and pack files, with errors that name them."""

from __future__ import annotations

import codecs
import contextlib
import errno
import gzip
import hashlib
import os
import re
import shutil
import stat
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from wheelhouse.errors import FileError, disk_full

CHUNK = 1 << 20
# How often to try to create a folder that other processes remove.
_ATTEMPTS = 100
# Byte order marks and their encodings, the longer marks first, because a short one is the start of a long one.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# Archives are read from a fast share and unpacked once, so time matters more than the last percent of size.
_QUICK = 1
# Bytes of a script, lock or table; anything larger is a mistake, such as a device.
LARGEST_INPUT = 64 << 20
# Characters that control a terminal or the direction of text, and characters without an encoding.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
CONTROL = re.compile(f"[{_CONTROL}]")
_UNSAFE = re.compile(rf"[\\{_CONTROL}]")
_DRIVE = re.compile(r"[A-Za-z]:")
# How to open a file: without waiting for the writer of a pipe.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_READ_NO_LINK = _READ | getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def explained(path: Path, written: Path | None = None) -> Iterator[None]:
    """Turn an `OSError` in the block into a `FileError` about its path or `path`, or into that of a full disk.

    `written` is where the block writes if `path` is what it reads, since only the disk of the former can be full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(written or path) from error
        if isinstance(error.filename, str):
            path = Path(error.filename)
        raise FileError(path, error) from error


def safe_path(text: str) -> bool:
    """Return whether `text` is a relative path with forward slashes that stays inside its folder on every system."""
    if _UNSAFE.search(text) or _DRIVE.match(text) or text in ("", "."):
        return False
    path = PurePosixPath(text)
    return text == str(path) and not path.is_absolute() and ".." not in path.parts


def real(path: Path) -> Path:
    """Return `path` without links, as far as it exists; unlike `Path.resolve`, links in a loop are no error."""
    return Path(os.path.realpath(path))


def read_input(path: Path) -> bytes:
    """Return the bytes of a file that a user named. Raises `OSError` like `open_input`, and above `LARGEST_INPUT`."""
    with open_input(path) as source:
        data = source.read(LARGEST_INPUT + 1)
    if len(data) > LARGEST_INPUT:
        raise OSError(errno.EFBIG, f"is larger than {LARGEST_INPUT >> 20} MB", str(path))
    return data


def read_text(path: Path) -> str:
    """Return the text (UTF-8) of a file that a user named. Raises `FileError`, also if it is not a regular file."""
    with explained(path):
        return read_input(path).decode(errors="replace")


def decoded(data: bytes) -> str:
    """Return a text file as a string: in the encoding of its byte order mark, or in UTF-8."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.removeprefix(mark).decode(encoding, "replace")
    return data.decode(errors="replace")


def open_input(path: Path) -> IO[bytes]:
    """Open a file that a user named, which may be a link. Raises `OSError` for a pipe, a device or the like.

    These could be endless. Does not wait, as opening a pipe without a writer would.
    """
    return os.fdopen(_regular(path, _READ), "rb")


def open_plain(path: Path) -> IO[bytes]:
    """Open a file inside a bundle or store, like `open_input`. Raises `OSError` for a link, too."""
    try:
        descriptor = _regular(path, _READ_NO_LINK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, "is not a regular file", str(path)) from error
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def _regular(path: Path, flags: int) -> int:
    """Return a descriptor of the regular file `path`, opened with `flags`."""
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    raise OSError(errno.EINVAL, "is not a regular file", str(path))


def _chunks(source: IO[bytes], size: int = sys.maxsize) -> Iterator[bytes]:
    """Yield the first `size` bytes of `source`, or all of a shorter one."""
    while size > 0:
        chunk = source.read(min(CHUNK, size))
        if not chunk:
            return
        yield chunk
        size -= len(chunk)


def read_plain(path: Path, limit: int) -> bytes:
    """Return the bytes of the regular file `path`. Raises `FileError`, also above `limit` bytes."""
    with explained(path), open_plain(path) as source:
        data = b"".join(_chunks(source, limit + 1))
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit} bytes", str(path))
    return data


def plain_sha256(path: Path, size: int) -> str:
    """Return the SHA-256 of the regular file `path` in hex, or "" if it does not have exactly `size` bytes.

    Raises `FileError`.
    """
    digest = hashlib.sha256()
    total = 0
    with explained(path), open_plain(path) as source:
        for chunk in _chunks(source, size + 1):
            digest.update(chunk)
            total += len(chunk)
    return digest.hexdigest() if total == size else ""


def is_sound(path: Path, size: int, sha256: str) -> bool:
    """Return whether `path` is a regular file of `size` bytes with this digest. Raises `FileError`."""
    try:
        return plain_sha256(path, size) == sha256
    except FileError as error:
        if isinstance(error.error, FileNotFoundError) or error.error.errno == errno.EINVAL:
            return False
        raise


def bytes_sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    with explained(path), open_input(path) as source:
        while count := source.readinto(buffer):  # type: ignore[attr-defined]  # IO has none, but a file does
            digest.update(view[:count])
    return digest.hexdigest()


def make_folder(path: Path) -> None:
    """Create the folder `path` and its parents, unless they exist. Raises `OSError`.

    Empty folders of a store may be removed at any time: `Path.mkdir` fails if that happens between two of its steps.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                # Asked once: a folder that is gone by now is created again.
                mode = path.lstat().st_mode
                if not stat.S_ISDIR(mode) and not (stat.S_ISLNK(mode) and path.is_dir()):
                    raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(path)) from None
            if path.is_dir():
                return
    path.mkdir(parents=True, exist_ok=True)


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
    """Copy a file. Raises `FileError`, also if it is a pipe, a device or the like."""
    with explained(path), open_input(source) as read, path.open("wb") as out:
        shutil.copyfileobj(read, out, CHUNK)


def copy_hashed(source: Path, path: Path) -> str:
    """Copy a file and return the SHA-256 of the written bytes, in hex; the file is read once."""
    with explained(path), open_input(source) as read:
        return _written(_chunks(read), path)


def copy_plain(source: Path, path: Path, size: int) -> str:
    """Copy at most `size` bytes of the regular file `source`; return the SHA-256 of the written bytes, in hex.

    Raises `FileError`, also if `source` is a link, a pipe or a device.
    """
    with explained(path), open_plain(source) as read:
        return _written(_chunks(read, size), path)


def _written(chunks: Iterable[bytes], path: Path) -> str:
    """Write `chunks` to the new file `path`, and return their SHA-256 in hex."""
    digest = hashlib.sha256()
    # Buffered, because an unbuffered write may write fewer bytes than it was given.
    with path.open("xb") as out:
        for chunk in chunks:
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def pack(folder: Path, path: Path, top: str) -> None:
    """Write `folder` to the archive `path` (tar, gzip) as `top`. Same contents, same bytes."""
    with (
        explained(path),
        path.open("wb") as out,
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=_QUICK, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for member in sorted(folder.rglob("*")):
            if member.is_dir() and not member.is_symlink():
                continue
            name = f"{top}/{member.relative_to(folder).as_posix()}"
            tar.add(member, name, recursive=False, filter=plain_member)


def plain_member(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove times and owners from `member`, so that the same files give the same archive."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
