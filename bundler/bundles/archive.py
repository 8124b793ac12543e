"""Bundles as one file: a tar archive that starts with the manifests and is verified while it is unpacked.

Archives are streams: they are written and read without seeking. The same bundles give the same bytes. Python's tarfile
does not notice a truncated stream; the manifests say what must be there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bundler.bundles.consistency import require_consistent
from bundler.errors import BundlerError, DamagedError
from bundler.layout import MANIFEST, SUMS, sums
from bundler.manifest_reader import MANIFEST_LIMIT, parse, read_manifest
from bundler.progress import Progress
from bundler.units import counted
from wheelhouse import files
from wheelhouse.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from bundler.manifest import Manifest

_SUFFIX = ".bundle"
_CHUNK = 1 << 20
# Bytes of an extended header, which holds a long name; tarfile would read any number into memory.
_HEADER_LIMIT = 1 << 16
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DAMAGED = (tarfile.TarError, EOFError, ValueError)
# Missing files that are listed.
_SHOWN = 10


def pack(bundles: Sequence[Path], out: IO[bytes]) -> Generator[Progress, None, None]:
    """Write `bundles` to the archive `out`, manifests first, and verify them on the way.

    Raises `BundlerError` for two bundles of the same name, `DamagedError`, and the errors of `read_manifest`.
    """
    manifests = {bundle: read_manifest(bundle, "bundle") for bundle in bundles}
    tops = [_top(manifest) for manifest in manifests.values()]
    if len(set(tops)) < len(tops):
        raise BundlerError(f"two bundles are called {max(tops, key=tops.count)}", hint="pack them separately")
    total, done = sum(file.size for manifest in manifests.values() for file in manifest.files), 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for bundle, manifest in manifests.items():
            for name, data in _unlisted(bundle, manifest).items():
                tar.addfile(_member(f"{_top(manifest)}/{name}", len(data)), io.BytesIO(data))
        for bundle, manifest in manifests.items():
            for file in sorted(manifest.files, key=lambda file: file.path):
                path = bundle / file.path
                with files.explained(path), files.open_plain(path) as source:
                    hashed = _Hashed(source)
                    if os.fstat(source.fileno()).st_size == file.size:
                        tar.addfile(_member(f"{_top(manifest)}/{file.path}", file.size), hashed)
                if hashed.digest.hexdigest() != file.sha256:
                    raise DamagedError(bundle, [], [file.path], [])
                done += file.size
                yield Progress(text=f"Packing {counted(len(bundles), 'bundle')}", done=done, total=total)


def _top(manifest: Manifest) -> str:
    """Return the folder of a bundle in an archive."""
    return f"{manifest.name}{_SUFFIX}"


def _unlisted(bundle: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the files that the manifest of `bundle` does not list. Raises `DamagedError` if they do not match it."""
    data = files.read_plain(bundle / MANIFEST, MANIFEST_LIMIT)
    expected = _sums_of(data, manifest)
    if files.read_plain(bundle / SUMS, len(expected) + 1) != expected:
        raise DamagedError(bundle, [], [SUMS], [])
    return {MANIFEST: data, SUMS: expected}


def _sums_of(data: bytes, manifest: Manifest) -> bytes:
    """Return SHA256SUMS of the bundle whose manifest has the bytes `data`."""
    return sums({MANIFEST: hashlib.sha256(data).hexdigest(), **{file.path: file.sha256 for file in manifest.files}})


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


class _Hashed:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = 0, /) -> bytes:
        """Return `size` bytes, or fewer at the end; an unbuffered file may return fewer at any time."""
        data = bytearray()
        while len(data) < size and (chunk := self._source.read(size - len(data))):
            data += chunk
        self.digest.update(data)
        return bytes(data)


class _Member(tarfile.TarInfo):
    """A member whose extended headers are limited."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > _HEADER_LIMIT:
            raise tarfile.ReadError("a header is too large")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]  # not in the stubs


@dataclass(slots=True)
class _Arrival:
    """A bundle that is being unpacked to `folder`: `missing` are the (size, digest) of files by path."""

    manifest: Manifest
    folder: Path
    missing: dict[str, tuple[int, str]] = field(default_factory=dict)


def unpack(source: IO[bytes], name: Path, folder: Path) -> Generator[Progress, None, list[Path]]:
    """Unpack the archive `source`, called `name` in messages, to bundles in `folder`; return their paths.

    Every byte is verified while it is read, and no bundle is visible before all of them are complete. Raises
    `ArchiveError` for an archive that is damaged, incomplete or not one of ours, `BundlerError` if a bundle exists.
    """
    arrivals: dict[str, _Arrival] = {}
    done = 0
    with contextlib.ExitStack() as stack:
        try:
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_Member) as archive:
                for member in archive:
                    top, path = _split(member, name)
                    if path == MANIFEST and top not in arrivals:
                        arrivals[top] = _begin(archive, member, name, folder, stack)
                        continue
                    _receive(archive, member, arrivals.get(top), path, name)
                    done += member.size
                    total = sum(file.size for arrival in arrivals.values() for file in arrival.manifest.files)
                    yield Progress(text=f"Unpacking {name}", done=min(done, total), total=total)
        except _DAMAGED as error:
            raise ArchiveError(name, f"is damaged ({error})", "copy it again") from error
        _require_complete(arrivals, name)
        for arrival in arrivals.values():
            require_consistent(arrival.folder, arrival.manifest)
    return [folder / top for top in arrivals]


def _split(member: tarfile.TarInfo, name: Path) -> tuple[str, str]:
    """Return the bundle and the path of `member`. Raises `ArchiveError` unless it is a file inside a bundle."""
    top, _, path = member.name.partition("/")
    is_file = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if not (is_file and path and top.endswith(_SUFFIX) and files.safe_path(member.name)):
        raise ArchiveError(name, f"contains {member.name[:200]!r}, which does not belong in an archive of bundles")
    return top, path


def _begin(
    archive: tarfile.TarFile, member: tarfile.TarInfo, name: Path, folder: Path, stack: contextlib.ExitStack
) -> _Arrival:
    """Read the manifest `member` and return its bundle, whose folder `stack` renames at the end."""
    if member.size > MANIFEST_LIMIT:
        raise ArchiveError(name, "contains a manifest that is too large")
    content = archive.extractfile(member)
    data = content.read() if content else b""
    manifest = parse(data, name / MANIFEST)
    if member.name != f"{_top(manifest)}/{MANIFEST}":
        raise ArchiveError(name, f"contains the manifest of {manifest.name} as {member.name!r}")
    target = folder / _top(manifest)
    if target.exists():
        raise BundlerError(f"{target} already exists", hint="delete it, or unpack to another folder with --output")
    arrival = _Arrival(manifest=manifest, folder=stack.enter_context(files.building(target, replace=False)))
    with files.explained(arrival.folder):
        (arrival.folder / MANIFEST).write_bytes(data)
    expected = _sums_of(data, manifest)
    arrival.missing[SUMS] = (len(expected), hashlib.sha256(expected).hexdigest())
    arrival.missing |= {file.path: (file.size, file.sha256) for file in manifest.files}
    return arrival


def _receive(
    archive: tarfile.TarFile, member: tarfile.TarInfo, arrival: _Arrival | None, path: str, name: Path
) -> None:
    """Write the file `member` to its bundle. Raises `ArchiveError` unless it is exactly what the manifest lists."""
    if arrival is None:
        raise ArchiveError(name, f"contains {member.name!r} before the manifest of its bundle")
    if path not in arrival.missing:
        raise ArchiveError(name, f"contains {member.name!r}, which the manifest does not list, or twice")
    size, sha256 = arrival.missing.pop(path)
    if member.size != size:
        raise ArchiveError(name, f"contains {member.name!r} with {member.size} bytes instead of {size}")
    content, digest, target = archive.extractfile(member), hashlib.sha256(), arrival.folder / path
    with files.explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while content and (chunk := content.read(_CHUNK)):
                digest.update(chunk)
                out.write(chunk)
    if digest.hexdigest() != sha256:
        raise ArchiveError(name, f"contains a damaged {member.name!r}", "copy it again")


def _require_complete(arrivals: dict[str, _Arrival], name: Path) -> None:
    missing = sorted(f"{top}/{path}" for top, arrival in arrivals.items() for path in arrival.missing)
    if not arrivals:
        raise ArchiveError(name, "is not an archive of bundles", "pack bundles with `bundler pack`")
    if missing:
        more = [f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
        error = ArchiveError(name, f"is incomplete: {counted(len(missing), 'file')} missing", "copy it again")
        error.facts = [*missing[:_SHOWN], *more]
        raise error


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[list[Path]]:
    """Yield the bundle or publication `path`, or the bundles in the archive `path`, unpacked for the block.

    Raises the errors of `unpack`.
    """
    if not path.is_file():
        yield [path]
        return
    with tempfile.TemporaryDirectory(prefix="unpacked-", ignore_cleanup_errors=True) as folder:
        with files.explained(path), path.open("rb") as source:
            work = unpack(source, path, Path(folder))
            while True:
                try:
                    next(work)
                except StopIteration as stop:
                    bundles: list[Path] = stop.value
                    break
        yield bundles
