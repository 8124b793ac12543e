"""The files that are added to a bundle after it was created: signatures, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.layout import PROVENANCE, SIGNATURES, is_attached
from wheelhouse import atomic, files

if TYPE_CHECKING:
    from pathlib import Path

# Bytes and files; more would be an attack on memory.
LIMIT = 1 << 20
_FILES_LIMIT = 1000


def attached(folder: Path) -> dict[str, bytes]:
    """Return the files that were added to the bundle or publication in `folder` by their paths. Raises `FileError`."""
    names = [PROVENANCE] if (folder / PROVENANCE).is_file() else []
    if (folder / SIGNATURES).is_dir():
        with files.explained(folder):
            names += sorted(f"{SIGNATURES}{path.name}" for path in (folder / SIGNATURES).iterdir())
    return {name: files.read_plain(folder / name, LIMIT) for name in names[:_FILES_LIMIT] if is_attached(name)}


def attach(source: Path, folder: Path) -> bool:
    """Copy the files that were added to the bundle `source` to its publication `folder`; return whether any is new.

    Signatures that only the publication has are kept. Raises `FileError`.
    """
    written = [atomic.write(folder / name, data) for name, data in attached(source).items()]
    return any(written)
