"""Verify a bundle or publication: compare every file with its digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bundler.bundle_folder import Bundle, open_bundle
from bundler.bundles.consistency import require_consistent
from bundler.errors import DamagedError
from bundler.layout import (
    ARCHIVES,
    COLLECTOR,
    EXEC_SCRIPT,
    MANIFEST,
    PROVENANCE,
    PUBLICATION,
    README,
    RUN,
    RUN_SHELL,
    SUMS,
    is_attached,
    sums,
)
from bundler.manifest import Manifest
from bundler.manifest_reader import MANIFEST_LIMIT
from bundler.trust.attachments import LIMIT
from bundler.trust.provenance import read_provenance
from wheelhouse import files
from wheelhouse.errors import FileError
from wheelhouse.files import safe_path

# The size that stands for links and other special files.
_NOT_PLAIN = -1
# Additional files of a publication, which its manifest (that of the bundle) does not list.
_ON_TOP = (EXEC_SCRIPT, PUBLICATION, COLLECTOR)
_THREADS = 4
# Bytes; a larger file would be an attack on memory.
_SUMS_LIMIT = 64 << 20


def verify(folder: Path, hashed: Callable[[Path, int], str] = files.plain_sha256) -> Bundle:
    """Verify every file of the bundle or publication in `folder`, and that there are no others; return it.

    `hashed` returns the SHA-256 of a file with the given size. The execution script and archives of a publication are
    listed only in SHA256SUMS. Raises `DamagedError` with all missing, changed and foreign files, and the errors of
    `read_manifest`.
    """
    bundle = open_bundle(folder)
    present = _present(folder)
    stated = _stated_digests(folder, present)
    digests = _expected_digests(bundle.manifest, stated)
    expected = [*digests, SUMS]
    missing = [path for path in expected if path not in present]
    foreign = _foreign(present, {*expected, MANIFEST})
    changed = _of_other_kind_or_size(bundle.manifest, stated, present, expected)
    changed |= _with_other_digest(folder, present, digests, changed, hashed)
    # SHA256SUMS must list exactly the files, and it alone covers the manifest.
    if SUMS in present and (stated != digests or MANIFEST not in stated):
        changed.add(SUMS)
    if PROVENANCE in present and not _provenance_is_valid(folder):
        changed.add(PROVENANCE)
    if missing or changed or foreign:
        raise DamagedError(folder, missing, changed, foreign)
    require_consistent(bundle)
    return bundle


def _present(folder: Path) -> dict[str, int]:
    """Return the size of every file below `folder` by its path."""
    with files.explained(folder):
        return dict(_walk(folder))


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the path and size of every file below `folder`; `_NOT_PLAIN` for links and other special files."""
    below = [""]
    while below:
        prefix = below.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    below.append(f"{path}/")
                elif entry.is_file(follow_symlinks=False):
                    yield path, entry.stat(follow_symlinks=False).st_size
                else:
                    yield path, _NOT_PLAIN


def _stated_digests(folder: Path, present: Mapping[str, int]) -> dict[str, str]:
    """Return the digest of each path in SHA256SUMS; nothing if there is no such file, or it is malformed."""
    if present.get(SUMS, _NOT_PLAIN) == _NOT_PLAIN:
        return {}
    data = files.read_plain(folder / SUMS, _SUMS_LIMIT)
    digests = {}
    for line in data.decode(errors="replace").split("\n")[:-1]:
        digests[line[66:]] = line[:64]
    return digests if sums(digests) == data else {}


def _expected_digests(manifest: Manifest, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of each file: those in the manifest, and of what only SHA256SUMS lists those `stated` there."""
    digests = manifest.digests()
    if MANIFEST in stated:
        digests[MANIFEST] = stated[MANIFEST]
    if EXEC_SCRIPT not in stated:
        return digests
    for path in _ON_TOP:
        digests[path] = stated.get(path, "")
    for path, digest in stated.items():
        # A publication has a README of its own.
        if path in (README, RUN, RUN_SHELL) or (path.startswith(ARCHIVES) and safe_path(path)):
            digests[path] = digest
    return digests


def _of_other_kind_or_size(
    manifest: Manifest,
    stated: Mapping[str, str],
    present: Mapping[str, int],
    expected: Iterable[str],
) -> set[str]:
    """Return the files that have another size than in `manifest`, and those of `expected` that are no regular files."""
    changed = {
        file.path for file in manifest.files if present.get(file.path, file.size) != file.size
    }
    if EXEC_SCRIPT in stated:
        # A publication has a README of its own.
        changed.discard(README)
    changed.update(path for path in expected if present.get(path) == _NOT_PLAIN)
    return changed


def _with_other_digest(
    folder: Path,
    present: Mapping[str, int],
    digests: Mapping[str, str],
    changed: Collection[str],
    hashed: Callable[[Path, int], str],
) -> set[str]:
    """Return the `present` files whose bytes differ from `digests`, without files that are known to be `changed`."""
    paths = [path for path in digests if path in present and path not in changed]

    def differs(path: str) -> bool:
        return hashed(folder / path, present[path]) != digests[path]

    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(differs, paths)
        return {path for path, is_other in zip(paths, results, strict=True) if is_other}


def _provenance_is_valid(folder: Path) -> bool:
    """Return whether provenance.json, which the manifest does not list, is about this manifest."""
    try:
        data = files.read_plain(folder / PROVENANCE, LIMIT)
        read_provenance(data, files.read_plain(folder / MANIFEST, MANIFEST_LIMIT))
    except (ValueError, FileError):
        return False
    return True


def foreign_files(folder: Path) -> set[str]:
    """Return the files in `folder` that do not belong to a bundle. Raises the errors of `read_manifest`."""
    manifest = open_bundle(folder).manifest
    return _foreign(_present(folder), {*manifest.digests(), MANIFEST, SUMS})


def _foreign(present: Mapping[str, int], listed: Collection[str]) -> set[str]:
    """Return the paths that belong to no bundle: neither `listed` nor signatures and the like."""
    foreign = set()
    for path, size in present.items():
        if path in listed or (is_attached(path) and 0 <= size <= LIMIT):
            continue
        foreign.add(path)
    return foreign
