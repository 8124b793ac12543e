"""What a delta archive leaves out because the far side has it: files of earlier bundles, by digest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundles import parts
from bundler.bundles.members import read_manifests
from bundler.errors import BundlerError
from bundler.layout import MANIFEST
from bundler.manifest_reader import MANIFEST_LIMIT, parse, read_manifest
from wheelhouse import files
from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from pathlib import Path

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
        raise BundlerError(
            f"{path} does not exist", hint="name an earlier bundle, archive, manifest or list of digests"
        )
    if path.is_file():
        with files.explained(path), path.open("rb") as source:
            start = source.read(_START)
        if start.startswith(b"{"):
            return frozenset(file.sha256 for file in parse(files.read_plain(path, MANIFEST_LIMIT), path).files)
        if _DIGEST.match(start.decode("latin-1")) and not path.name.endswith(parts.LIST):
            return frozenset(_DIGEST.findall(files.read_plain(path, MANIFEST_LIMIT).decode("latin-1")))
    with parts.opened([path]) as source:
        return frozenset(file.sha256 for manifest in read_manifests(source, path) for file in manifest.files)


def base_files(path: Path) -> dict[str, Path]:
    """Return the files of the bundle or publication `path`, or of all publications of the store `path`, by digest.

    Raises `BundlerError`, `ManifestError`.
    """
    if (path / MANIFEST).is_file():
        return {file.sha256: path / file.path for file in read_manifest(path).files}
    publications = path / "publications"
    if not publications.is_dir():
        raise BundlerError(f"{path} is not a bundle, publication or store", hint="name the folder of one")
    result: dict[str, Path] = {}
    for folder in sorted(publications.iterdir()):
        try:
            manifest = read_manifest(folder)
        except WheelhouseError:
            continue  # One that is broken, or not a publication, must not stop a delivery that does not need it.
        result |= {file.sha256: folder / file.path for file in manifest.files}
    return result
