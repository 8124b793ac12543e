"""Aliases: stable names for the newest publication of something, as links STORE/aliases/NAME."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bundler.errors import BundlerError
from bundler.publications.history import log
from bundler.publications.usage import find
from wheelhouse import atomic, files
from wheelhouse.errors import FileError
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TARGET = re.compile(r"\.\./publications/([^/]+)")


def require_alias(name: str) -> None:
    """Raise `BundlerError` unless `name` can be an alias."""
    if not _NAME.fullmatch(name):
        raise BundlerError(
            f"{name!r} cannot be an alias",
            hint="use letters, digits, dots, hyphens and underscores",
        )


def point(store: Store, name: str, publication: str, note: str = "") -> Path:
    """Let the alias `name` point to `publication` from now on; return its path. Readers see the old or the new one.

    Raises `BundlerError`, `FileError`.
    """
    require_alias(name)
    (entry,) = find(store, [publication])
    path = store.path / "aliases" / name
    before = target(path)
    if before == entry.name:
        return path
    partial = atomic.beside(path, store.scratch)
    with sharing(store.path), files.explained(path):
        files.make_folder(path.parent)
        try:
            os.symlink(f"../publications/{entry.name}", partial, target_is_directory=True)  # noqa: PTH211 - a relative text
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        log(store, "alias", name, detail=f"{before or 'new'} -> {entry.name}", note=note)
    return path


def target(path: Path) -> str | None:
    """Return the name of the publication that the alias `path` points to, or None if it is not an alias."""
    try:
        match = _TARGET.fullmatch(path.readlink().as_posix())
    except OSError:
        return None
    return match[1] if match else None


def aliases(store: Store) -> dict[str, str]:
    """Return the publication of each alias in `store`, by its name. Raises `FileError`."""
    folder = store.path / "aliases"
    try:
        with files.explained(folder):
            paths = sorted(folder.iterdir())
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return {}
        raise
    names = [path for path in paths if _NAME.fullmatch(path.name)]
    return {path.name: name for path in names if (name := target(path)) is not None}


def drop(store: Store, name: str) -> None:
    """Remove the alias `name`. Raises `FileError`."""
    path = store.path / "aliases" / name
    before = target(path)
    with files.explained(path):
        path.unlink()
    log(store, "alias", name, detail=f"{before} -> none")


def pinned(path: Path) -> Path:
    """Return the publication that the alias `path` points to now; any other path as it is."""
    name = target(path) if path.parent.name == "aliases" else None
    return path.parent.parent / "publications" / name if name else path
