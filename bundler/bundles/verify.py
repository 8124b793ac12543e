"""Is a bundle or a publication still what its manifest says? Every file by digest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bundler.bundles.consistency import require_consistent
from bundler.errors import DamagedError
from bundler.layout import ARCHIVES, COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, README, SUMS, sums
from bundler.manifest_reader import read_manifest
from wheelhouse import files
from wheelhouse.files import safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.manifest import Manifest

_NOT_PLAIN = -1
# What a publication has on top and its manifest, which is the bundle's, does not know of.
_ON_TOP = (EXEC_SCRIPT, PUBLICATION, COLLECTOR)
_THREADS = 4
# As for the manifest: more is an attack on memory.
_SUMS_LIMIT = 64 << 20


def verify(folder: Path) -> Manifest:
    """Check every file of the bundle or publication in `folder`, and that there is no other; return its manifest.

    A publication has an execution script on top, and perhaps archives, which only its SHA256SUMS vouches for.
    Raises `DamagedError` with all faults at once, and what `read_manifest` raises.
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
    foreign = set(present) - set(digests) - {MANIFEST, SUMS}
    readme = {README} if EXEC_SCRIPT in vouched else set()
    changed = {path for path, file in listed.items() if present.get(path, file.size) != file.size} - readme
    changed |= {path for path in (*digests, SUMS) if present.get(path) == _NOT_PLAIN}
    # SHA256SUMS must name all files and no other, and only it vouches for the manifest.
    if SUMS in present and (vouched != digests or MANIFEST not in vouched):
        changed.add(SUMS)
    whole = [path for path in digests if path in present and path not in changed]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda path: files.plain_sha256(folder / path, present[path]), whole)
        changed |= {path for path, digest in zip(whole, found, strict=True) if digest != digests[path]}
    if missing or changed or foreign:
        raise DamagedError(folder, missing, changed, foreign)
    require_consistent(folder, manifest)
    return manifest


def foreign_files(folder: Path) -> set[str]:
    """Return the files in `folder` that no bundle of ours holds; raise what `read_manifest` raises."""
    ours = {file.path for file in read_manifest(folder).files}
    with files.explained(folder):
        return {path for path, _ in _walk(folder)} - ours - {MANIFEST, SUMS}


def _sums(path: Path) -> dict[str, str]:
    """Return path and digest of every line of SHA256SUMS; nothing if it is not just such lines."""
    data = files.read_plain(path, _SUMS_LIMIT)
    lines = data.decode(errors="replace").split("\n")[:-1]
    found = {line[66:]: line[:64] for line in lines}
    return found if sums(found) == data else {}


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield path and size of every file below `folder`, `_NOT_PLAIN` of what is none, such as a symbolic link."""
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
