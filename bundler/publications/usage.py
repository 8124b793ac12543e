"""The publications of a store, and the files that they use."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import BundlerError
from bundler.layout import EXEC_SCRIPT, MANIFEST, PUBLICATION
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.suggestions import did_you_mean
from wheelhouse import files
from wheelhouse.errors import WheelhouseError
from wheelhouse.store.store import Store

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
        folders = [
            path
            for path in store.publications.iterdir()
            if _NAME.fullmatch(path.name) and path.is_dir()
        ]
    entries = []
    for folder in folders:
        entry = _published(folder)
        if entry is not None:
            entries.append(entry)
    return sorted(entries, key=lambda entry: (entry.time, entry.name))


def find(store: Store, names: Collection[str]) -> list[Published]:
    """Return the publications `names`: names in `store`, or paths of their folders. Raises `BundlerError`."""
    existing = {entry.name: entry for entry in published(store)}
    chosen = {}
    for given in names:
        name = given.rstrip("/").rpartition("/")[2]
        if name not in existing:
            raise BundlerError(
                f"{store.path} has no publication {given}", hint=did_you_mean(name, existing)
            )
        chosen[name] = existing[name]
    return list(chosen.values())


def used_wheels(folder: Path, manifest: Manifest | None = None) -> set[str]:
    """Return the file names of the wheels that the publication in `folder` uses, even if its manifest is damaged."""
    names: set[str] = set()
    with contextlib.suppress(WheelhouseError):
        manifest = manifest or read_manifest(folder)
        names |= {file.filename for file in manifest.wheels}
    with contextlib.suppress(OSError):
        names |= {path.name for path in (folder / "wheels").iterdir()}
    return names


def wheels_in_use(store: Store) -> set[str]:
    """Return the file names of the wheels of all publications, finished and half-made."""
    names: set[str] = set()
    # Half-made ones first, since they may become finished ones meanwhile.
    with files.explained(store.path):
        half_made = [path for path in store.scratch.iterdir() if (path / MANIFEST).is_file()]
    for folder in half_made:
        names |= used_wheels(folder)
    with files.explained(store.publications):
        finished = [path for path in store.publications.iterdir() if path.name[0] != "."]
    for folder in finished:
        names |= used_wheels(folder)
    return names


def _published(folder: Path) -> Published | None:
    """Return the publication in `folder`, or None if it was removed just now."""
    manifest = None
    with contextlib.suppress(WheelhouseError):
        manifest = read_manifest(folder)
    for path in (folder / PUBLICATION, folder / EXEC_SCRIPT, folder):
        with files.explained(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return Published(folder=folder, manifest=manifest, time=path.stat().st_mtime)
    return None
