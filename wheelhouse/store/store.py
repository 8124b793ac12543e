"""A store: files by digest, one record per file, and the simple index that the records determine.

    store.json                                   the format of the store
    files/<2 hex>/<sha256>/<file>                each file once, with its METADATA next to it (PEP 658)
    records/<project>/<file>.json                assigns the file name to its digest, see `wheelhouse.store.record`
    records/<project>/<file>.yanked              says that the file is yanked, and why (PEP 592)
    simple/<project>/index.html, index.json      pages (PEP 503, 691), a function of the records
    .partial/                                    everything that is half-made, deleted after a day
    .removed/                                    removed publications, until their wheels are removed
    publications/<name>/                         see `bundler.publications.publication`

Nothing is locked, so a store works over NFS. It needs a `rename` that is atomic within the store. Hard links save
space: without them, records are created with O_EXCL and publications have copies. Symbolic links are for aliases only.

Publishers write, in this order: the manifest of a half-made publication in `.partial`, which announces its wheels;
files and their metadata; records; pages; the publication, by the rename that is its commit point. Then they look again
for its files and records. A record is only created where there is none, so a name belongs to one digest. After adding
a record, a publisher writes the pages and then reads the records again; if they have changed since, it writes the pages
again. So the last pages contain the records of all concurrent publishers.

Whoever removes a publication renames it to `.removed`, and then removes records, pages and files that no publication
and no announcement uses, in this order, so that no page links to nothing. Files are moved to `.partial` first and the
announcements read again, so either the publisher or the remover notices the other, and puts the files back. The next
removal finishes what a killed one left in `.removed`. What is left in `.partial` is deleted after a day, by the clock
of the file server.

The mode and group of the store's folder decide who may publish, not the umask of the publishers (`sharing`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from wheelhouse import files
from wheelhouse.errors import NoStoreError, StoreError
from wheelhouse.store.record import PROJECT, RECORD, YANKED

FORMAT = 2
# Bytes; store.json has a few dozen.
_LIMIT = 1 << 20
_PARTIAL = ".partial"
# Of the copy of METADATA next to a wheel (PEP 658).
METADATA = ".metadata"


@dataclass(frozen=True, slots=True)
class Store:
    """A store at `path`, see `open_store`."""

    path: Path

    @property
    def publications(self) -> Path:
        """The folder of the publications."""
        return self.path / "publications"

    @property
    def scratch(self) -> Path:
        """The folder of everything that is half-made."""
        return self.path / _PARTIAL

    @property
    def removed(self) -> Path:
        """The folder of publications that were removed, until their wheels are."""
        return self.path / ".removed"

    def file(self, filename: str, sha256: str) -> Path:
        """Return the path of a file in the store."""
        return self.path / "files" / sha256[:2] / sha256 / filename

    def metadata(self, filename: str, sha256: str) -> Path:
        """Return the path of the copy of METADATA next to a wheel (PEP 658)."""
        return self.file(f"{filename}{METADATA}", sha256)

    def record(self, project: str, filename: str) -> Path:
        """Return the path of the record of a file."""
        return self.path / "records" / project / f"{filename}{RECORD}"

    def yanked(self, project: str, filename: str) -> Path:
        """Return the path of the file that says that another one is yanked."""
        return self.path / "records" / project / f"{filename}{YANKED}"

    def projects(self) -> list[str]:
        """Return the names of the projects in the store, in alphabetical order. Raises `FileError`."""
        folder = self.path / "records"
        with files.explained(folder), os.scandir(folder) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        return sorted(filter(PROJECT.fullmatch, folders))


def no_store(path: Path, fact: str) -> StoreError:
    """Return the error for a folder that is not, and cannot become, a store."""
    return StoreError(
        f"{path}: {fact}",
        hint="use a store, an empty folder, or a path that does not exist",
    )


def open_store(path: Path) -> Store:
    """Return the store at `path`, which is not changed. Raises `NoStoreError`, `StoreError`, `FileError`."""
    if not (path / "store.json").exists():
        raise NoStoreError(path)
    read_format(path)
    return Store(path)


def format_json() -> bytes:
    """Return the bytes of store.json."""
    return json.dumps({"format": FORMAT}).encode() + b"\n"


def read_format(path: Path) -> int:
    """Return the format of the store at `path`. Raises `StoreError`."""
    try:
        version = json.loads(files.read_plain(path / "store.json", _LIMIT))["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise no_store(path, "its store.json is invalid") from None
    if version not in range(1, FORMAT + 1):
        raise no_store(
            path,
            f"has store format {version}, but this version supports up to {FORMAT}",
        )
    return int(version)
