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

from bundler.bundle_folder import Bundle, open_bundle
from bundler.errors import BundlerError, DamagedError
from bundler.layout import DELTA, MANIFEST, README, SUMS, sums
from bundler.manifest import File, Manifest
from bundler.manifest_reader import MANIFEST_LIMIT, read_manifest
from bundler.progress import Progress, Report
from bundler.trust.attachments import attached
from bundler.units import counted
from wheelhouse import files

SUFFIX = ".bundle"


def content(manifest: Manifest, digests: Collection[str]) -> list[File]:
    """Return the files of a bundle that an archive contains: all but those whose digest is in `digests`.

    The README is always there, since that of a publication is another one.
    """
    inside = []
    for file in manifest.files:
        if file.path == README or file.sha256 not in digests:
            inside.append(file)
    return sorted(inside, key=lambda file: file.path)


def content_size(bundles: Sequence[Path], digests: Collection[str]) -> dict[str, int]:
    """Return the numbers of `files` and `bytes` that an archive would contain, and `of_files`, `of_bytes` in all.

    The bytes are those of the files, before compression. Raises the errors of `read_manifest`.
    """
    sizes = {"files": 0, "bytes": 0, "of_files": 0, "of_bytes": 0}
    for folder in bundles:
        manifest = read_manifest(folder, "bundle")
        inside = content(manifest, digests)
        sizes["files"] += len(inside)
        sizes["bytes"] += sum(file.size for file in inside)
        sizes["of_files"] += len(manifest.files)
        sizes["of_bytes"] += manifest.size
    return sizes


def require_outside(path: Path, bundles: Sequence[Path]) -> None:
    """Raise `BundlerError` if the output `path` is inside one of `bundles`, which it would damage."""
    for bundle in bundles:
        if files.real(path).is_relative_to(files.real(bundle)):
            raise BundlerError(
                f"{path} is inside the bundle {bundle}", hint="choose another --output"
            )


def pack(
    folders: Sequence[Path],
    out: IO[bytes],
    digests: Collection[str] = frozenset(),
    *,
    report: Report,
) -> None:
    """Write the bundles in `folders` to the archive `out`, manifests first, and verify them on the way.

    Files whose digest is in `digests` are left out, and listed in delta.json; the far side has them. Raises
    `BundlerError` for two bundles of the same name, `DamagedError`, and the errors of `read_manifest`.
    """
    bundles = [open_bundle(folder, "bundle") for folder in dict.fromkeys(folders)]
    _require_names(bundles)
    contents = [content(bundle.manifest, digests) for bundle in bundles]
    total = sum(file.size for inside in contents for file in inside)
    done = 0
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for bundle, inside in zip(bundles, contents, strict=True):
            for name, data in _unlisted(bundle, inside).items():
                tar.addfile(
                    _member(f"{top_of(bundle.manifest)}/{name}", len(data)), io.BytesIO(data)
                )
        for bundle, inside in zip(bundles, contents, strict=True):
            for file in inside:
                _add(tar, bundle, file)
                done += file.size
                report(
                    Progress(
                        text=f"Packing {counted(len(bundles), 'bundle')}", done=done, total=total
                    )
                )


def _require_names(bundles: Sequence[Bundle]) -> None:
    """Raise `BundlerError` if two of `bundles` would have the same folder in an archive."""
    tops: set[str] = set()
    for bundle in bundles:
        top = top_of(bundle.manifest)
        if top in tops:
            raise BundlerError(f"two bundles are called {top}", hint="pack them separately")
        tops.add(top)


def top_of(manifest: Manifest) -> str:
    """Return the folder of a bundle in an archive."""
    return f"{manifest.name}{SUFFIX}"


def _unlisted(bundle: Bundle, inside: Sequence[File]) -> dict[str, bytes]:
    """Return the files that the manifest of `bundle` does not list, with a list of what is not `inside` the archive.

    Raises `DamagedError` if they do not match the manifest.
    """
    data = bundle.read(MANIFEST, MANIFEST_LIMIT)
    expected = sums_of(data, bundle.manifest)
    if bundle.read(SUMS, len(expected) + 1) != expected:
        raise DamagedError(bundle.folder, [], [SUMS], [])
    unlisted = {MANIFEST: data, SUMS: expected, **attached(bundle.folder)}
    paths = {file.path for file in inside}
    left_out = sorted(file.path for file in bundle.manifest.files if file.path not in paths)
    if left_out:
        unlisted[DELTA] = (json.dumps({"left_out": left_out}, indent=1) + "\n").encode()
    return unlisted


def _add(tar: tarfile.TarFile, bundle: Bundle, file: File) -> None:
    """Add `file` to the archive `tar`. Raises `DamagedError` if it has other bytes than the manifest says."""
    path = bundle.path(file)
    with files.explained(path):
        source = files.open_plain(path)
    with source:
        hashed = _Hashed(source, path)
        if os.fstat(source.fileno()).st_size == file.size:
            tar.addfile(_member(f"{top_of(bundle.manifest)}/{file.path}", file.size), hashed)
    if hashed.digest.hexdigest() != file.sha256:
        raise DamagedError(bundle.folder, [], [file.path], [])


def sums_of(data: bytes, manifest: Manifest) -> bytes:
    """Return SHA256SUMS of the bundle whose manifest has the bytes `data`."""
    return sums({MANIFEST: hashlib.sha256(data).hexdigest(), **manifest.digests()})


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
