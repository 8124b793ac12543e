"""The publications of a store, and the files that they use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import BundlerError
from bundler.layout import EXEC_SCRIPT, MANIFEST, PUBLICATION
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.suggestions import did_you_mean
from wheelhouse import files
from wheelhouse.errors import WheelhouseError
from wheelhouse.store import Store

# Names that this tool gives; others would be those of somebody's own folders.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The publication in `folder`; `manifest` is None if it cannot be read, `time` is in seconds since 1970."""

    folder: Path
    manifest: Manifest | None
    time: float

    @property
    def name(self) -> str:
        """The name of the publication in its store."""
        return self.folder.name


def published(store: Store) -> list[Published]:
    """Return the publications of `store`, the oldest first. Raises `FileError`."""
    with files.explained(store.publications):
        folders = [path for path in store.publications.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    entries = [entry for folder in folders if (entry := _published(folder)) is not None]
    return sorted(entries, key=lambda entry: (entry.time, entry.name))


def find(store: Store, names: Collection[str]) -> list[Published]:
    """Return the publications `names`: names in `store`, or paths of their folders. Raises `BundlerError`."""
    existing = {entry.name: entry for entry in published(store)}
    chosen = {name.rstrip("/").rpartition("/")[2]: name for name in names}
    for name, given in chosen.items():
        if name not in existing:
            raise BundlerError(f"{store.path} has no publication {given}", hint=did_you_mean(name, existing))
    return [existing[name] for name in chosen]


def used_wheels(folder: Path, manifest: Manifest | None = None) -> set[str]:
    """Return the file names of the wheels that the publication in `folder` uses, even if its manifest is damaged."""
    names: set[str] = set()
    with contextlib.suppress(WheelhouseError):
        manifest = manifest or read_manifest(folder)
        names |= {file.path.removeprefix("wheels/") for file in manifest.files if file.path.startswith("wheels/")}
    with contextlib.suppress(OSError):
        names |= {path.name for path in (folder / "wheels").iterdir()}
    return names


def wheels_in_use(store: Store) -> set[str]:
    """Return the file names of the wheels of all publications, finished and half-made."""
    with files.explained(store.path):
        building = [path for path in store.scratch.iterdir() if (path / MANIFEST).is_file()]
    return {name for folder in [*_folders(store), *building] for name in used_wheels(folder)}


def _folders(store: Store) -> Iterator[Path]:
    with files.explained(store.publications):
        yield from (path for path in store.publications.iterdir() if path.name[0] != ".")


def _published(folder: Path) -> Published | None:
    """Return the publication in `folder`, or None if it was removed just now."""
    manifest = None
    with contextlib.suppress(WheelhouseError):
        manifest = read_manifest(folder)
    for path in (folder / PUBLICATION, folder / EXEC_SCRIPT, folder):
        with files.explained(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return Published(folder=folder, manifest=manifest, time=path.stat().st_mtime)
    return None
