"""A store: files by digest, one record per file, and the simple index that the records determine.

    store.json                                   the format of the store
    files/<2 hex>/<sha256>/<file>                each file once, with its METADATA next to it (PEP 658)
    records/<project>/<file>.json                assigns the file name to its digest, see `wheelhouse.record`
    records/<project>/<file>.yanked              says that the file is yanked, and why (PEP 592)
    simple/<project>/index.html, index.json      pages (PEP 503, 691), a function of the records
    .partial/                                    everything that is half-made, deleted after a day
    .removed/                                    removed publications, until their wheels are removed
    publications/<name>/                         see `bundler.publications.publication`

Nothing is locked, so a store works over NFS. A record is only created where there is none, so a name belongs to one
digest forever. After adding a record, a publisher writes the pages and then reads the records again; if they have
changed since, it writes the pages again. So the last pages contain the records of all concurrent publishers.

The mode and group of the store's folder decide who may publish, not the umask of the publishers: see `sharing`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from wheelhouse import atomic, files, wheel
from wheelhouse.errors import ConflictError, FileError, StoreError, WheelError
from wheelhouse.index import Link, project_json, project_page, root_json, root_page
from wheelhouse.record import PROJECT, RECORD, YANKED, Record, read_record, yank_reason
from wheelhouse.sharing import sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

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

    def record(self, project: str, filename: str) -> Path:
        """Return the path of the record of a file."""
        return self.path / "records" / project / f"{filename}{RECORD}"

    def projects(self) -> list[str]:
        """Return the names of the projects in the store."""
        return _projects(self)


def _no_store(path: Path, fact: str) -> StoreError:
    return StoreError(f"{path}: {fact}", hint="use a store, an empty folder, or a path that does not exist")


def open_store(path: Path) -> Store:
    """Return the store at `path`, which is not changed. Raises `StoreError`, `FileError`."""
    if not (path / "store.json").exists():
        raise StoreError(f"{path}: is not a store", hint="name the folder that was given to publish-index")
    _read_format(path)
    return Store(path)


def create_store(path: Path) -> Store:
    """Return the store at `path` for changes to it; it is created or upgraded if necessary.

    Also deletes what killed publishers left there more than a day ago. Raises `StoreError`, `FileError`.
    """
    with files.explained(path):
        path.mkdir(parents=True, exist_ok=True)
    store = Store(path)
    with sharing(path), files.explained(path):
        foreign = any(not entry.name.startswith(".") for entry in path.iterdir())
        # Checked after the listing, since a concurrent publisher writes store.json first.
        is_new = not (path / "store.json").exists()
        if is_new and foreign:
            raise _no_store(path, "is not empty and has no store.json")
        store.scratch.mkdir(exist_ok=True)
        if is_new:
            atomic.claim(path / "store.json", _format_json(), store.scratch)
        version = _read_format(path)
        for name in ("records", "publications"):
            (path / name).mkdir(exist_ok=True)
        if version < FORMAT:
            write_pages(store, store.projects())  # Format 1 has no JSON.
            atomic.write(path / "store.json", _format_json(), store.scratch)
        atomic.clear_abandoned(store.scratch)
    return store


def _format_json() -> bytes:
    return json.dumps({"format": FORMAT}).encode() + b"\n"


def _read_format(path: Path) -> int:
    """Return the format of the store at `path`. Raises `StoreError`."""
    try:
        version = json.loads(files.read_plain(path / "store.json", _LIMIT))["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _no_store(path, "its store.json is invalid") from None
    if version not in range(1, FORMAT + 1):
        raise _no_store(path, f"has store format {version}, but this version supports up to {FORMAT}")
    return int(version)


def add(
    store: Store,
    wheels: Collection[tuple[Path, str]],
    origin: str | None = None,
    report: Callable[[StoreError], object] = lambda _: None,
) -> Iterator[tuple[Path, bool]]:
    """Add wheels, (path, SHA-256) pairs, to the store and its index.

    Yields the path of each in the store, and whether something was written for it, in order. Bytes are verified while
    they are copied. Existing files are verified again, and whatever is missing or damaged is restored. `origin` names
    the bundle or folder that the wheels come from. Calls `report` with the errors of malformed records of other files.
    Raises `StoreError` and `WheelError` before anything is written.
    """
    metadata = {path: wheel.read_metadata(path) for path, _ in wheels}
    uploaded = _now(store)
    records = {path: _describe(path, sha256, metadata[path], uploaded, origin) for path, sha256 in wheels}
    refuse_conflicts(store, records.values())
    for path, record in records.items():
        is_new = _put(store, path, record, metadata[path])
        is_new = _claim(store, record) or is_new
        yield store.file(record.filename, record.sha256), is_new
    refuse_conflicts(store, records.values())  # Again, since another publisher may have added a record.
    for malformed in write_pages(store, {record.project for record in records.values()}):
        report(malformed)


def describe(store: Store, path: Path, sha256: str, origin: str | None) -> Record:
    """Return the record of the wheel at `path`, uploaded now. Raises `WheelError`, `FileError`."""
    return _describe(path, sha256, wheel.read_metadata(path), _now(store), origin)


def put(store: Store, source: Path, record: Record) -> bool:
    """Write the file of `record` and its metadata unless they are there; return whether something was written.

    Raises `WheelError` if `source` has another digest, `FileError`.
    """
    return _put(store, source, record, wheel.read_metadata(source))


def _now(store: Store) -> str:
    """Return the time of the file server as PEP 700 has it."""
    return f"{datetime.fromtimestamp(atomic.now(store.scratch), timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"


def _describe(path: Path, sha256: str, metadata: bytes, uploaded: str, origin: str | None) -> Record:
    with files.explained(path):
        size = path.stat().st_size
    return Record(
        project=wheel.parse_filename(path.name)[0],
        filename=path.name,
        sha256=sha256,
        requires_python=wheel.requires_python(metadata),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        size=size,
        uploaded=uploaded,
        origin=origin,
    )


def _put(store: Store, source: Path, record: Record, metadata: bytes) -> bool:
    path = store.file(record.filename, record.sha256)
    is_new = atomic.write(path.with_name(f"{path.name}{METADATA}"), metadata, store.scratch)
    if is_sound(path, record.size or 0, record.sha256):
        return is_new
    partial = atomic.beside(path, store.scratch)
    try:
        if files.copy_hashed(source, partial) != record.sha256:
            raise WheelError(source, "changed while it was copied")
        with files.explained(path):
            partial.chmod(partial.stat().st_mode & ~0o222)
            atomic.placed(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return True


def is_sound(path: Path, size: int, sha256: str) -> bool:
    """Return whether `path` is a regular file of `size` bytes with this digest. Raises `FileError`."""
    try:
        return files.plain_sha256(path, size) == sha256
    except FileError as error:
        if isinstance(error.error, FileNotFoundError) or error.error.errno == errno.EINVAL:
            return False
        raise


def _claim(store: Store, record: Record) -> bool:
    """Write `record` unless there is one; replace an invalid one, or one with other facts about the same file.

    Returns whether it was written.
    """
    path = store.record(record.project, record.filename)
    if atomic.claim(path, record.to_json(), store.scratch):
        return True
    there = _sound_record(path)
    if there is None:
        return atomic.write(path, record.to_json(), store.scratch)
    if there.sha256 != record.sha256 or record.describes(there):
        return False
    kept = replace(record, uploaded=there.uploaded or record.uploaded, origin=there.origin or record.origin)
    return atomic.write(path, kept.to_json(), store.scratch)


def _sound_record(path: Path) -> Record | None:
    """Return the record at `path`, or None if there is no valid one."""
    with contextlib.suppress(StoreError):
        return read_record(path)
    return None


def refuse_conflicts(store: Store, records: Iterable[Record]) -> None:
    """Raise `StoreError` if the store has other bytes under the name of one of `records`."""
    conflicts = []
    for record in records:
        there = _sound_record(store.record(record.project, record.filename))
        if there is not None and there.sha256 != record.sha256:
            conflicts.append((record, there))
    if conflicts:
        raise ConflictError(
            f"{store.path} contains different files with the same name",
            facts=[
                line
                for new, there in sorted(conflicts, key=lambda pair: pair[0].filename)
                for line in (new.filename, f"  in the store: {_origin(there)}", f"  new:          {_origin(new)}")
            ],
            hint="nothing was published; find out which file is genuine, or publish to another store",
        )


def _origin(record: Record) -> str:
    """Return the digest of `record`, and where and when it came from if that is known."""
    source = f" from {record.origin}" if record.origin else ""
    day = f" on {record.uploaded[:10]}" if record.uploaded else ""
    return f"sha256 {record.sha256[:16]}...{source}{day}"


def write_pages(store: Store, projects: Collection[str]) -> list[StoreError]:
    """Write the index pages of `projects` and the root pages from the records; return errors of malformed records."""
    errors: list[StoreError] = []
    for project in sorted(projects):
        written = None
        while (state := _state(store.path / "records" / project)) != written:
            links, errors_here = links_of(store, project, state)
            _write_project(store, project, links)
            written = state
        errors += errors_here
    listed = None
    while (names := store.projects()) != listed:
        atomic.write(store.path / "simple" / "index.html", root_page(names), store.scratch)
        atomic.write(store.path / "simple" / "index.json", root_json(names), store.scratch)
        listed = names
    return errors


def _write_project(store: Store, project: str, links: Sequence[Link]) -> None:
    folder, records = store.path / "simple" / project, store.path / "records" / project
    for name, data in pages_of(project, links).items():
        atomic.write(folder / name, data, store.scratch)
    if links:
        return
    try:
        records.rmdir()
    except FileNotFoundError:
        pass
    except OSError:  # Something is in it, or somebody else is adding to it.
        return
    with files.explained(folder):
        for name in pages_of(project, ()):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # It is gone, or somebody is adding to it.
        folder.rmdir()


def pages_of(project: str, links: Sequence[Link]) -> dict[str, bytes]:
    """Return the pages of `project` by their file names."""
    return {"index.html": project_page(project, links), "index.json": project_json(project, links)}


def links_of(store: Store, project: str, names: Collection[str]) -> tuple[list[Link], list[StoreError]]:
    """Return the links for the page of `project` from its records `names`, and the errors of malformed ones."""
    folder = store.path / "records" / project
    links, errors = [], []
    for name in names:
        if not name.endswith(RECORD):
            continue
        try:
            record = read_record(folder / name)
        except StoreError as error:
            errors.append(error)
            continue
        if record is not None:
            yanked = f"{record.filename}{YANKED}"
            links.append(_link(store, record, yank_reason(folder / yanked) if yanked in names else None))
    return links, errors


def _state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what changes whenever a file in `folder` is written, by name; nothing if it does not exist."""
    with files.explained(folder), contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        statuses = ((entry.name, entry.stat(follow_symlinks=False)) for entry in entries if entry.name[0] != ".")
        return {name: (status.st_ino, status.st_mtime_ns, status.st_size) for name, status in sorted(statuses)}
    return {}


def _projects(store: Store) -> list[str]:
    folder = store.path / "records"
    with files.explained(folder), os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if PROJECT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )


def _link(store: Store, record: Record, yanked: str | None) -> Link:
    size = record.size
    if size is None:  # Format 1.
        with contextlib.suppress(OSError):
            size = store.file(record.filename, record.sha256).stat().st_size
    return Link(
        filename=record.filename,
        path=f"../../files/{record.sha256[:2]}/{record.sha256}/{record.filename}",
        sha256=record.sha256,
        requires_python=record.requires_python,
        metadata_sha256=record.metadata_sha256,
        size=size or 0,
        uploaded=record.uploaded,
        yanked=yanked,
    )
