"""Archives that somebody else made: unpacked within limits, or refused."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from wheelhouse import files
from wheelhouse.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Bytes of an unpacked interpreter, which has some 100 million, with debug symbols a billion.
LARGEST_INTERPRETER = 4 << 30
_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError, ValueError)


def unpack(path: Path, folder: Path, *, limit: int) -> None:
    """Unpack the tar or zip file at `path` into the empty `folder`, no name and no link leading out of it.

    Raises `ArchiveError`, also for one of more than `limit` bytes, `FileError`.
    """
    try:
        with files.explained(path):
            if path.name.endswith(".zip"):
                _unpack_zip(path, folder, limit)
            else:
                _unpack_tar(path, folder, limit)
    except _DAMAGED as fault:
        raise ArchiveError(path, f"is damaged ({fault})") from fault


def members(path: Path, *, limit: int) -> Iterator[tarfile.TarInfo]:
    """Yield what the tar file at `path` holds, in its order; raise `ArchiveError` as `unpack` does, `FileError`."""
    try:
        with files.explained(path), tarfile.open(path) as tar:
            yield from _within(path, tar, limit)
    except _DAMAGED as fault:
        raise ArchiveError(path, f"is damaged ({fault})") from fault


def require_interpreter(path: Path, *, windows: bool) -> None:
    """Raise `ArchiveError` unless the tar file at `path` is whole and holds an interpreter where nodes look for it."""
    wanted = "python/python.exe" if windows else "python/bin/python3"
    names: set[str] = set()
    for member in members(path, limit=LARGEST_INTERPRETER):
        name = member.name.removeprefix("./").rstrip("/")
        if name in names and not member.isdir():
            raise ArchiveError(path, f"holds {name} twice")
        names.add(name)
    if wanted not in names:
        raise ArchiveError(path, f"holds no {wanted}", "take an archive as uv's, the kind that is called install_only")


def _within(path: Path, tar: tarfile.TarFile, limit: int) -> Iterator[tarfile.TarInfo]:
    total = 0
    for member in tar:
        total += member.size
        if total > limit:  # looked at before the bytes are, which a small file may stand for
            raise ArchiveError(path, f"holds more than {limit / 1e9:.1f} GB")
        yield member
    # To its very end, where a compressed file has its checksum.
    while tar.fileobj and (rest := tar.fileobj.read(_CHUNK)):
        total += len(rest)
        if total > limit:
            raise ArchiveError(path, f"holds more than {limit / 1e9:.1f} GB")


def _unpack_tar(path: Path, folder: Path, limit: int) -> None:
    with tarfile.open(path) as tar:
        chosen = list(_within(path, tar, limit))
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, chosen, filter="data")
            return
        # Python 3.11.2, which Debian 12 has, cannot filter: of links only those to a neighbour are sure to stay inside.
        for member in chosen:
            neighbour = member.issym() and "/" not in member.linkname and member.linkname.strip(".")
            plain = files.safe_path(member.name.removeprefix("./").rstrip("/") or "x")
            if not plain or not (member.isfile() or member.isdir() or neighbour):
                raise ArchiveError(path, f"{member.name!r} may lead out of it; a Python from 3.11.4 on can tell")
        tar.extractall(folder, chosen)  # noqa: S202 - checked above


def _unpack_zip(path: Path, folder: Path, limit: int) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > limit:
            raise ArchiveError(path, f"holds more than {limit / 1e9:.1f} GB")
        for info in infos:
            if not files.safe_path(info.filename.rstrip("/")):
                raise ArchiveError(path, f"{info.filename!r} leads out of it")
        archive.extractall(folder)  # noqa: S202 - checked above
