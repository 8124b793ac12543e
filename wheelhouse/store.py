"""A store: files by digest, one record per file, and the simple index that the records determine.

    store.json                                   the format of the store
    files/<2 hex>/<sha256>/<file>                each file once, with its METADATA next to it (PEP 658)
    records/<project>/<file>.json                assigns the file name to its digest
    simple/<project>/index.html                  PEP 503 pages, a function of the records
    publications/<name>/                         see `bundler.publications.publication`

Nothing is locked, so a store works over NFS. A record is only created where there is none, so a name belongs to one
digest forever. After adding a record, a publisher writes the page and then reads the records again; if they have
changed since, it writes the page again. So the last page contains the records of all concurrent publishers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wheelhouse import atomic, files, wheel
from wheelhouse.errors import FileError, StoreError, WheelError
from wheelhouse.index import Link, project_page, root_page

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

FORMAT = 1
# Bytes; a record or store.json has a few hundred.
_LIMIT = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
# A normalized project name (PEP 503).
_PROJECT = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A wheel in the store; digests are SHA-256 in hex."""

    project: str
    filename: str
    sha256: str
    requires_python: str | None
    metadata_sha256: str


@dataclass(frozen=True, slots=True)
class Store:
    """A store at `path`, see `open_store`."""

    path: Path

    @property
    def publications(self) -> Path:
        """The folder of the publications."""
        return self.path / "publications"

    def file(self, filename: str, sha256: str) -> Path:
        """Return the path of a file in the store."""
        return self.path / "files" / sha256[:2] / sha256 / filename


def _no_store(path: Path, fact: str) -> StoreError:
    return StoreError(f"{path}: {fact}", hint="use a store, an empty folder, or a path that does not exist")


def open_store(path: Path) -> Store:
    """Return the store at `path`, which is created if necessary. Raises `StoreError`, `FileError`."""
    with files.explained(path):
        path.mkdir(parents=True, exist_ok=True)
        foreign = any(not entry.name.startswith(".") for entry in path.iterdir())
        # Checked after the listing, since a concurrent publisher writes store.json first.
        if not (path / "store.json").exists():
            if foreign:
                raise _no_store(path, "is not empty and has no store.json")
            atomic.claim(path / "store.json", json.dumps({"format": FORMAT}).encode() + b"\n")
        try:
            version = json.loads(files.read_plain(path / "store.json", _LIMIT))["format"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _no_store(path, "its store.json is invalid") from None
        for name in ("records", "publications"):
            (path / name).mkdir(exist_ok=True)
    if version != FORMAT:
        raise _no_store(path, f"has store format {version}, but this version supports up to {FORMAT}")
    return Store(path)


def add(store: Store, wheels: Collection[tuple[Path, str]]) -> Iterator[Path]:
    """Add wheels, (path, SHA-256) pairs, to the store and its index; yield their paths in the store, in order.

    Bytes are verified while they are copied, and existing ones are verified again. Raises `StoreError` and `WheelError`
    before anything is written.
    """
    metadata = {path: wheel.read_metadata(path) for path, _ in wheels}
    records = {path: _describe(path, sha256, metadata[path]) for path, sha256 in wheels}
    _refuse_conflicts(store, records.values())
    for path, record in records.items():
        yield _put(store, path, record, metadata[path])
        _claim(_record_path(store, record), json.dumps(asdict(record), indent=1).encode() + b"\n")
    _refuse_conflicts(store, records.values())  # Again, since another publisher may have added a record.
    write_pages(store, {record.project for record in records.values()})


def _describe(path: Path, sha256: str, metadata: bytes) -> Record:
    return Record(
        project=wheel.parse_filename(path.name)[0],
        filename=path.name,
        sha256=sha256,
        requires_python=wheel.requires_python(metadata),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
    )


def _put(store: Store, source: Path, record: Record, metadata: bytes) -> Path:
    path = store.file(record.filename, record.sha256)
    with files.explained(path):
        if path.exists() and files.sha256(path) == record.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path.with_name(f"{path.name}.metadata"), metadata)
    partial = atomic.beside(path)
    try:
        if files.copy_hashed(source, partial) != record.sha256:
            raise WheelError(source, "changed while it was copied")
        with files.explained(path):
            partial.chmod(partial.stat().st_mode & ~0o222)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _claim(path: Path, data: bytes) -> None:
    """Write the record at `path` unless there is one; replace an incomplete one that a crash left."""
    if not atomic.claim(path, data) and _read_record(path) is None:
        atomic.write(path, data)


def _refuse_conflicts(store: Store, records: Iterable[Record]) -> None:
    conflicts = []
    for record in records:
        there = _read_record(_record_path(store, record))
        if there is not None and there.sha256 != record.sha256:
            conflicts.append((record.filename, there.sha256, record.sha256))
    if conflicts:
        raise StoreError(
            f"{store.path} contains different files with the same name",
            facts=[
                f"{name}   in the store: sha256 {there[:16]}..., new: {here[:16]}..."
                for name, there, here in sorted(conflicts)
            ],
            hint="nothing was published; find out which file is genuine, or publish to another store",
        )


def write_pages(store: Store, projects: Collection[str]) -> None:
    """Write the index pages of `projects` and the root page from the records."""
    for project in sorted(projects):
        folder = store.path / "records" / project
        written: list[str] = []
        while (names := _names(folder)) != written:
            links = [_link(record) for name in names if (record := _read_record(folder / name))]
            atomic.write(store.path / "simple" / project / "index.html", project_page(project, links))
            written = names
    written = []
    while (names := list(filter(_PROJECT.fullmatch, _names(store.path / "records")))) != written:
        atomic.write(store.path / "simple" / "index.html", root_page(names))
        written = names


def _names(folder: Path) -> list[str]:
    with files.explained(folder):
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))


def _link(record: Record) -> Link:
    return Link(
        filename=record.filename,
        path=f"../../files/{record.sha256[:2]}/{record.sha256}/{record.filename}",
        sha256=record.sha256,
        requires_python=record.requires_python,
        metadata_sha256=record.metadata_sha256,
    )


def _record_path(store: Store, record: Record) -> Path:
    return store.path / "records" / record.project / f"{record.filename}.json"


def _read_record(path: Path) -> Record | None:
    """Return the record at `path`, or None if there is none or it is invalid."""
    try:
        with files.explained(path):
            path.lstat()
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return None
        raise
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        record = Record(**json.loads(files.read_plain(path, _LIMIT)))
        if f"{record.filename}.json" == path.name and record.project == path.parent.name and _is_sound(record):
            return record
    return None


def _is_sound(record: Record) -> bool:
    """Return whether the values of `record`, which may have been edited by hand, are valid."""
    digests = all(isinstance(text, str) and _SHA256.fullmatch(text) for text in (record.sha256, record.metadata_sha256))
    asked = record.requires_python
    return digests and (asked is None or (isinstance(asked, str) and asked.isprintable()))
