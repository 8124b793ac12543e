"""Verify a bundle or publication: compare every file with its digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
    SUMS,
    is_attached,
    sums,
)
from bundler.manifest import Manifest
from bundler.manifest_reader import MANIFEST_LIMIT, read_manifest
from bundler.trust.attached import LIMIT
from bundler.trust.provenance import read_provenance
from wheelhouse import files
from wheelhouse.errors import FileError
from wheelhouse.files import safe_path

_NOT_PLAIN = -1
# Additional files of a publication, which its manifest (that of the bundle) does not list.
_ON_TOP = (EXEC_SCRIPT, PUBLICATION, COLLECTOR)
_THREADS = 4
# Bytes; a larger file would be an attack on memory.
_SUMS_LIMIT = 64 << 20


def verify(folder: Path, hashed: Callable[[Path, int], str] = files.plain_sha256) -> Manifest:
    """Verify every file of the bundle or publication in `folder`, and that there are no others; return its manifest.

    `hashed` returns the SHA-256 of a file with the given size. The execution script and archives of a publication are
    listed only in SHA256SUMS. Raises `DamagedError` with all missing, changed and foreign files, and the errors of
    `read_manifest`.
    """
    manifest = read_manifest(folder)
    listed = {file.path: file for file in manifest.files}
    with files.explained(folder):
        present = dict(_walk(folder))
    vouched = _sums(folder / SUMS) if present.get(SUMS, _NOT_PLAIN) != _NOT_PLAIN else {}
    digests = {path: file.sha256 for path, file in listed.items()}
    digests |= {path: digest for path, digest in vouched.items() if path == MANIFEST}
    if EXEC_SCRIPT in vouched:
        digests |= {path: vouched.get(path, "") for path in (*_ON_TOP, *({README} & vouched.keys()))}
        digests |= {path: digest for path, digest in vouched.items() if path.startswith(ARCHIVES) and safe_path(path)}
    missing = {path for path in (*digests, SUMS) if path not in present}
    foreign = _foreign(present, {*digests, MANIFEST, SUMS})
    readme = {README} if EXEC_SCRIPT in vouched else set()
    changed = {path for path, file in listed.items() if present.get(path, file.size) != file.size} - readme
    changed |= {path for path in (*digests, SUMS) if present.get(path) == _NOT_PLAIN}
    # SHA256SUMS must list exactly the files, and it alone covers the manifest.
    if SUMS in present and (vouched != digests or MANIFEST not in vouched):
        changed.add(SUMS)
    whole = [path for path in digests if path in present and path not in changed]
    with ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(lambda path: hashed(folder / path, present[path]), whole)
        changed |= {path for path, digest in zip(whole, results, strict=True) if digest != digests[path]}
    changed |= _changed_provenance(folder) if PROVENANCE in present else set()
    if missing or changed or foreign:
        raise DamagedError(folder, missing, changed, foreign)
    require_consistent(folder, manifest)
    return manifest


def _changed_provenance(folder: Path) -> set[str]:
    """Return the path of provenance.json, which the manifest does not list, unless it is about this manifest."""
    try:
        read_provenance(
            files.read_plain(folder / PROVENANCE, LIMIT), files.read_plain(folder / MANIFEST, MANIFEST_LIMIT)
        )
    except (ValueError, FileError):
        return {PROVENANCE}
    return set()


def foreign_files(folder: Path) -> set[str]:
    """Return the files in `folder` that do not belong to a bundle. Raises the errors of `read_manifest`."""
    ours = {file.path for file in read_manifest(folder).files}
    with files.explained(folder):
        return _foreign(dict(_walk(folder)), {*ours, MANIFEST, SUMS})


def _foreign(present: Mapping[str, int], listed: Collection[str]) -> set[str]:
    """Return the paths that belong to no bundle: neither `listed` nor signatures and the like."""
    return {path for path in set(present) - set(listed) if not is_attached(path) or not 0 <= present[path] <= LIMIT}


def _sums(path: Path) -> dict[str, str]:
    """Return the digest of each path in SHA256SUMS; nothing if the file is malformed."""
    data = files.read_plain(path, _SUMS_LIMIT)
    lines = data.decode(errors="replace").split("\n")[:-1]
    digests = {line[66:]: line[:64] for line in lines}
    return digests if sums(digests) == data else {}


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
                else:
                    plain = entry.is_file(follow_symlinks=False)
                    yield path, entry.stat(follow_symlinks=False).st_size if plain else _NOT_PLAIN
