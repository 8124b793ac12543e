"""Unpack archives from untrusted sources within limits."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from wheelhouse import files
from wheelhouse.errors import ArchiveError

# Bytes of an unpacked interpreter, which has 100 million, or 1000 million with debug symbols.
LARGEST_INTERPRETER = 4 << 30
_CHUNK = 1 << 20
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    ValueError,
    # Headers that follow each other make tarfile call itself.
    RecursionError,
)


def unpack(path: Path, folder: Path, *, limit: int) -> None:
    """Unpack the tar or zip file `path` to the empty `folder`; no name or link may point outside of it.

    Raises `ArchiveError`, also above `limit` bytes, and `FileError`.
    """
    try:
        with files.explained(path, written=folder):
            if path.name.endswith(".zip"):
                _unpack_zip(path, folder, limit)
            else:
                _unpack_tar(path, folder, limit)
    except _DAMAGED as error:
        raise ArchiveError(path, f"is damaged ({error})") from error


def members(path: Path, *, limit: int) -> Iterator[tarfile.TarInfo]:
    """Yield the members of the tar file `path`. Raises `ArchiveError` like `unpack`, `FileError`."""
    try:
        with files.explained(path), tarfile.open(path) as tar:
            yield from _within(path, tar, limit)
    except _DAMAGED as error:
        raise ArchiveError(path, f"is damaged ({error})") from error


def require_interpreter(path: Path, *, windows: bool) -> None:
    """Raise `ArchiveError` unless the tar file `path` is complete and has an interpreter at the expected path."""
    interpreter = "python/python.exe" if windows else "python/bin/python3"
    names = set()
    for member in members(path, limit=LARGEST_INTERPRETER):
        name = member.name.removeprefix("./").rstrip("/")
        if name in names and not member.isdir():
            raise ArchiveError(path, f"contains {name} twice")
        names.add(name)
    if interpreter not in names:
        raise ArchiveError(
            path,
            f"does not contain {interpreter}",
            "use an archive of the kind install_only, like uv",
        )


def _within(path: Path, tar: tarfile.TarFile, limit: int) -> Iterator[tarfile.TarInfo]:
    total = 0
    for member in tar:
        total += member.size
        _require_within(
            path, total, limit
        )  # Before reading, since a small file can expand to many bytes.
        yield member
    # To the very end, where a compressed file has its checksum.
    while tar.fileobj and (rest := tar.fileobj.read(_CHUNK)):
        total += len(rest)
        _require_within(path, total, limit)


def _require_within(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise ArchiveError(path, f"contains more than {limit / 1e9:.1f} GB")


def _unpack_tar(path: Path, folder: Path, limit: int) -> None:
    with tarfile.open(path) as tar:
        members = list(_within(path, tar, limit))
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, members, filter="data")
            return
        # Python 3.11.2 in Debian 12 has no filter.
        for member in members:
            if not _stays_inside(member):
                raise ArchiveError(
                    path,
                    f"contains {member.name!r}, which may point outside",
                    "use Python 3.11.4 or newer",
                )
        tar.extractall(folder, members)  # noqa: S202 - checked above


def _stays_inside(member: tarfile.TarInfo) -> bool:
    """Return whether `member` certainly stays inside its archive; of links, only those to a file in the same folder."""
    if not files.safe_path(member.name.removeprefix("./").rstrip("/") or "x"):
        return False
    if member.issym():
        return "/" not in member.linkname and member.linkname.strip(".") != ""
    return member.isfile() or member.isdir()


def _unpack_zip(path: Path, folder: Path, limit: int) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _require_within(path, sum(info.file_size for info in infos), limit)
        for info in infos:
            if not files.safe_path(info.filename.rstrip("/")):
                raise ArchiveError(path, f"contains {info.filename!r}, which points outside")
        archive.extractall(folder)  # noqa: S202 - checked above
