"""Is a bundle or a publication still what its manifest says? Every file by digest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bundler import manifest as manifests
from bundler.errors import Damaged, NotABundle
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.manifest import Manifest

EXEC_SCRIPT = "exec_script.py"
_THREADS = 4


def read_manifest(folder: Path, expected: str = "bundle or publication") -> Manifest:
    """Return the manifest in `folder`; raise `NotABundle`, `ManifestFault`, `NewerFormat`."""
    with files.explained(folder):
        try:
            return manifests.load(folder)
        except (FileNotFoundError, NotADirectoryError):
            raise NotABundle(folder, expected) from None


def verify(folder: Path) -> Manifest:
    """Check every file of the bundle or publication in `folder`, and that there is no other; return its manifest.

    A publication has an execution script on top, which only its SHA256SUMS vouches for.
    Raises `Damaged` with all faults at once, and what `read_manifest` raises.
    """
    manifest = read_manifest(folder)
    listed = {file.path: file for file in manifest.files}
    with files.explained(folder):
        present = dict(_walk(folder))
    vouched = _sums(folder / manifests.SUMS) if manifests.SUMS in present else {}
    missing = {path for path in (*listed, manifests.SUMS) if path not in present}
    foreign = set(present) - set(listed) - {manifests.NAME, manifests.SUMS} - ({EXEC_SCRIPT} & set(vouched))
    changed = {path for path, file in listed.items() if path in present and present[path] != file.size}
    if vouched and {path: vouched.get(path) for path in listed} != {path: file.sha256 for path, file in listed.items()}:
        changed.add(manifests.SUMS)
    digests = {path: file.sha256 for path, file in listed.items()}
    digests |= {path: digest for path, digest in vouched.items() if path in (manifests.NAME, EXEC_SCRIPT)}
    whole = [path for path in digests if path in present and path not in changed]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda path: files.sha256(folder / path), whole)
        changed |= {path for path, digest in zip(whole, found, strict=True) if digest != digests[path]}
    if missing or changed or foreign:
        raise Damaged(folder, missing, changed, foreign)
    return manifest


def _sums(path: Path) -> dict[str, str]:
    """Return path and digest of every line of SHA256SUMS; what is no such line is left out, so that it is missed."""
    with files.explained(path):
        lines = path.read_bytes().decode(errors="replace").split("\n")
    return {line[66:]: line[:64] for line in lines if line[64:66] == "  "}


def _walk(folder: Path, below: str = "") -> Iterator[tuple[str, int]]:
    """Yield path and size of every file below `folder`; -1 for what is no plain file, such as a symbolic link."""
    with os.scandir(folder / below) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, f"{path}/")
            else:
                plain = entry.is_file(follow_symlinks=False)
                yield path, entry.stat(follow_symlinks=False).st_size if plain else -1
