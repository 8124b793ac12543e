"""Bundles as one file: a tar archive that starts with the manifests.

Archives are streams: they are written and read without seeking. The same bundles give the same bytes. Python's tarfile
does not notice a truncated stream; the manifests say what must be there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO

from bundler.errors import BundlerError, DamagedError
from bundler.layout import DELTA, MANIFEST, README, SUMS, sums
from bundler.manifest import File, Manifest
from bundler.manifest_reader import MANIFEST_LIMIT, read_manifest
from bundler.progress import Progress, Report
from bundler.trust.attached import attached
from bundler.units import counted
from wheelhouse import files

SUFFIX = ".bundle"


def content(manifest: Manifest, digests: Collection[str]) -> list[File]:
    """Return the files of a bundle that an archive contains: all but those whose digest is in `digests`.

    The README is always there, since that of a publication is another one.
    """
    inside = (file for file in manifest.files if file.path == README or file.sha256 not in digests)
    return sorted(inside, key=lambda file: file.path)


def content_size(bundles: Sequence[Path], digests: Collection[str]) -> dict[str, int]:
    """Return the numbers of `files` and `bytes` that an archive would contain, and `of_files`, `of_bytes` in all.

    The bytes are those of the files, before compression. Raises the errors of `read_manifest`.
    """
    manifests = [read_manifest(bundle, "bundle") for bundle in bundles]
    inside = [file for manifest in manifests for file in content(manifest, digests)]
    everything = [file for manifest in manifests for file in manifest.files]
    return {
        "files": len(inside),
        "bytes": sum(file.size for file in inside),
        "of_files": len(everything),
        "of_bytes": sum(file.size for file in everything),
    }


def require_outside(path: Path, bundles: Sequence[Path]) -> None:
    """Raise `BundlerError` if the output `path` is inside one of `bundles`, which it would damage."""
    for bundle in bundles:
        if files.real(path).is_relative_to(files.real(bundle)):
            raise BundlerError(f"{path} is inside the bundle {bundle}", hint="choose another --output")


def pack(bundles: Sequence[Path], out: IO[bytes], digests: Collection[str] = frozenset(), *, report: Report) -> None:
    """Write `bundles` to the archive `out`, manifests first, and verify them on the way.

    Files whose digest is in `digests` are left out, and listed in delta.json; the far side has them. Raises
    `BundlerError` for two bundles of the same name, `DamagedError`, and the errors of `read_manifest`.
    """
    manifests = {bundle: read_manifest(bundle, "bundle") for bundle in bundles}
    tops = [top_of(manifest) for manifest in manifests.values()]
    if len(set(tops)) < len(tops):
        raise BundlerError(f"two bundles are called {max(tops, key=tops.count)}", hint="pack them separately")
    contents = {bundle: content(manifest, digests) for bundle, manifest in manifests.items()}
    total, done = sum(file.size for files_of in contents.values() for file in files_of), 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for bundle, manifest in manifests.items():
            unlisted = _unlisted(bundle, manifest)
            left_out = sorted({file.path for file in manifest.files} - {file.path for file in contents[bundle]})
            if left_out:
                unlisted[DELTA] = (json.dumps({"left_out": left_out}, indent=1) + "\n").encode()
            for name, data in unlisted.items():
                tar.addfile(_member(f"{top_of(manifest)}/{name}", len(data)), io.BytesIO(data))
        for bundle, manifest in manifests.items():
            for file in contents[bundle]:
                path = bundle / file.path
                with files.explained(path):
                    source = files.open_plain(path)
                with source:
                    hashed = _Hashed(source, path)
                    if os.fstat(source.fileno()).st_size == file.size:
                        tar.addfile(_member(f"{top_of(manifest)}/{file.path}", file.size), hashed)
                if hashed.digest.hexdigest() != file.sha256:
                    raise DamagedError(bundle, [], [file.path], [])
                done += file.size
                report(Progress(text=f"Packing {counted(len(bundles), 'bundle')}", done=done, total=total))


def top_of(manifest: Manifest) -> str:
    """Return the folder of a bundle in an archive."""
    return f"{manifest.name}{SUFFIX}"


def _unlisted(bundle: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the files that the manifest of `bundle` does not list. Raises `DamagedError` if they do not match it."""
    data = files.read_plain(bundle / MANIFEST, MANIFEST_LIMIT)
    expected = sums_of(data, manifest)
    if files.read_plain(bundle / SUMS, len(expected) + 1) != expected:
        raise DamagedError(bundle, [], [SUMS], [])
    return {MANIFEST: data, SUMS: expected, **attached(bundle)}


def sums_of(data: bytes, manifest: Manifest) -> bytes:
    """Return SHA256SUMS of the bundle whose manifest has the bytes `data`."""
    return sums({MANIFEST: hashlib.sha256(data).hexdigest(), **{file.path: file.sha256 for file in manifest.files}})


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


class _Hashed:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, source: IO[bytes], path: Path) -> None:
        self._source = source
        self._path = path
        self.digest = hashlib.sha256()

    def read(self, size: int = 0, /) -> bytes:
        """Return `size` bytes, or fewer at the end; an unbuffered file may return fewer at any time."""
        data = bytearray()
        with files.explained(self._path):
            while len(data) < size and (chunk := self._source.read(size - len(data))):
                data += chunk
        self.digest.update(data)
        return bytes(data)
