"""What a delta archive leaves out because the far side has it: files of earlier bundles, by digest."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from bundler.bundle_folder import open_bundle
from bundler.bundles import parts
from bundler.bundles.archive_reader import read_manifests
from bundler.errors import BundlerError
from bundler.layout import MANIFEST, README
from bundler.manifest_reader import MANIFEST_LIMIT, parse
from wheelhouse import files
from wheelhouse.errors import WheelhouseError

# Lines of `sha256sum` and of lists of digests.
_DIGEST = re.compile(r"^([0-9a-f]{64})\b", re.MULTILINE)
# Bytes at the start of a file by which its kind is known.
_START = 1 << 9


def digests_of(path: Path) -> frozenset[str]:
    """Return the digests of the files that the far side has.

    `path` is a bundle, a publication, a store, an archive, a manifest, or text whose lines start with digests, such as
    SHA256SUMS. Raises `BundlerError`, `ManifestError`, `ArchiveError`, `FileError`.
    """
    if path.is_dir():
        return frozenset(base_files(path))
    if not parts.is_archive(path):
        fact = "is not a regular file" if path.exists() else "does not exist"
        raise BundlerError(
            f"{path} {fact}", hint="name a bundle, archive, manifest or list of digests"
        )
    if path.is_file() and parts.base_name(path) is None:
        with files.explained(path), files.open_input(path) as source:
            start = source.read(_START)
        if start.startswith(b"{"):
            manifest = parse(files.read_plain(path, MANIFEST_LIMIT), path)
            return frozenset(manifest.digests().values())
        if _DIGEST.match(start.decode("latin-1")):
            return frozenset(
                _DIGEST.findall(files.read_plain(path, MANIFEST_LIMIT).decode("latin-1"))
            )
    digests: set[str] = set()
    with parts.opened([path]) as source:
        for manifest in read_manifests(source, path):
            digests.update(manifest.digests().values())
    return frozenset(digests)


def base_files(path: Path) -> dict[str, list[Path]]:
    """Return the files of the bundle or publication `path`, or of all publications of the store `path`, by digest.

    Several files may have the same digest; one of them may be damaged.

    Raises `BundlerError`, `ManifestError`.
    """
    if (path / MANIFEST).is_file():
        return {digest: [file] for digest, file in _files_of(path).items()}
    publications = path / "publications"
    if not publications.is_dir():
        raise _no_base(path)
    result: dict[str, list[Path]] = {}
    with files.explained(publications):
        folders = sorted(publications.iterdir())
    for folder in folders:
        # One that is broken, or not a publication, must not stop a delivery that does not need it.
        with contextlib.suppress(WheelhouseError):
            for digest, file in _files_of(folder).items():
                result.setdefault(digest, []).append(file)
    return result


def _no_base(path: Path) -> BundlerError:
    """Return the error for a `path` that has no files of bundles."""
    if path.is_file():
        return BundlerError(f"{path} is an archive", hint="unpack it first, and name the bundle")
    if not path.exists():
        return BundlerError(
            f"{path} does not exist", hint="name the folder of a bundle, publication or store"
        )
    return BundlerError(
        f"{path} is not a bundle, publication or store", hint="name the folder of one"
    )


def _files_of(folder: Path) -> dict[str, Path]:
    """Return the files of the bundle or publication `folder` by digest. Raises `ManifestError`."""
    bundle = open_bundle(folder)
    is_published = bundle.is_published
    paths = {}
    for file in bundle.manifest.files:
        # A publication has a README of its own.
        if not is_published or file.path != README:
            paths[file.sha256] = bundle.path(file)
    return paths


def base_of(path: Path | None) -> Callable[[], Mapping[str, Sequence[Path]]]:
    """Return a function that returns the `base_files` of `path`, read when they are needed; nothing for None."""
    if path is None:
        return dict
    return cache(lambda: base_files(path))
