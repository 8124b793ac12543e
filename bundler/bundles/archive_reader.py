"""The members of archives of bundles: regular files inside a bundle, read as a stream within limits."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bundler.bundles.archive import SUFFIX
from bundler.bundles.zstd import decompressed
from bundler.layout import DELTA, MANIFEST, SUMS, is_attached
from bundler.manifest import Manifest
from bundler.manifest_reader import MANIFEST_LIMIT, parse
from wheelhouse import files
from wheelhouse.errors import ArchiveError

# Bytes of an extended header, which holds a long name; tarfile would read any number into memory.
_HEADER_LIMIT = 1 << 16
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# Headers that follow each other make tarfile call itself.
_DAMAGED = (tarfile.TarError, EOFError, ValueError, RecursionError)


class _Member(tarfile.TarInfo):
    """A member whose extended headers are limited."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > _HEADER_LIMIT:
            raise tarfile.ReadError("a header is too large")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]  # not in the stubs


@contextlib.contextmanager
def reading(source: IO[bytes], name: Path) -> Iterator[tarfile.TarFile]:
    """Yield the archive `source`, called `name` in messages, as a stream. Raises `ArchiveError` if it is damaged."""
    try:
        with tarfile.open(fileobj=decompressed(source), mode="r|", tarinfo=_Member) as archive:
            yield archive
    except _DAMAGED as error:
        raise ArchiveError(name, f"is damaged ({error})", "copy it again") from error


def split(member: tarfile.TarInfo, name: Path) -> tuple[str, str]:
    """Return the bundle and the path of `member`. Raises `ArchiveError` unless it is a file inside a bundle."""
    top, _, path = member.name.partition("/")
    is_file = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if not (is_file and path and top.endswith(SUFFIX) and files.safe_path(member.name)):
        raise ArchiveError(
            name, f"contains {member.name[:200]!r}, which does not belong in an archive of bundles"
        )
    return top, path


def read_small(archive: tarfile.TarFile, member: tarfile.TarInfo, name: Path) -> bytes:
    """Return the bytes of a manifest or a list in an archive. Raises `ArchiveError` if there are too many."""
    if member.size > MANIFEST_LIMIT:
        raise ArchiveError(name, "contains a manifest that is too large")
    content = archive.extractfile(member)
    return content.read() if content else b""


def read_manifests(source: IO[bytes], name: Path) -> list[Manifest]:
    """Return the manifests at the start of the archive `source`, called `name` in messages.

    Reads nothing else. Raises `ArchiveError`, `ManifestError`.
    """
    manifests: list[Manifest] = []
    with reading(source, name) as archive:
        for member in archive:
            _, path = split(member, name)
            if path == MANIFEST:
                manifests.append(parse(read_small(archive, member, name), name / MANIFEST))
            elif path not in (SUMS, DELTA) and not is_attached(path):
                break
    if not manifests:
        raise ArchiveError(name, "is not an archive of bundles", "pack bundles with `bundler pack`")
    return manifests
