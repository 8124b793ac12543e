"""Add wheels to a store and its index, and restore what is missing or damaged of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from wheelhouse import atomic, files, wheel
from wheelhouse.errors import (
    ConflictError,
    InvalidWheelsError,
    StoreError,
    WheelError,
)
from wheelhouse.store.pages import write_pages
from wheelhouse.store.record import Record, read_record
from wheelhouse.store.store import Store


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
    Raises `StoreError`, `WheelError` and `InvalidWheelsError` before anything is written.
    """
    records = _describe_all(wheels, upload_time(store), origin)
    _refuse_conflicts(store, records.values())
    shared = []
    for path, record in records.items():
        is_new = put(store, path, record)
        is_ours = _claim(store, record)
        if not is_ours:
            shared.append(record)
        yield store.file(record.filename, record.sha256), is_new or is_ours
    _refuse_conflicts(store, shared)  # Again, since another publisher may have added a record.
    for malformed in write_pages(store, {record.project for record in records.values()}):
        report(malformed)


def is_complete(store: Store, filename: str, sha256: str) -> bool:
    """Return whether the store has the file, its metadata and its record, without reading them."""
    path = store.file(filename, sha256)
    metadata = store.metadata(filename, sha256)
    record = store.record(wheel.parse_filename(filename)[0], filename)
    return path.exists() and metadata.exists() and record.exists()


def _describe_all(
    wheels: Iterable[tuple[Path, str]], uploaded: str, origin: str | None
) -> dict[Path, Record]:
    """Return the records of `wheels` by their paths. Raises `InvalidWheelsError` for several invalid ones."""
    records = {}
    errors = []
    for path, sha256 in wheels:
        try:
            records[path] = describe(path, sha256, uploaded, origin)
        except WheelError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidWheelsError(errors)
    return records


def upload_time(store: Store) -> str:
    """Return the time of the file server as PEP 700 has it. Raises `FileError`."""
    time = datetime.fromtimestamp(atomic.now(store.scratch), timezone.utc)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def describe(path: Path, sha256: str, uploaded: str, origin: str | None) -> Record:
    """Return the record of the wheel at `path`. Raises `WheelError`, `FileError`."""
    # Not kept: the METADATA of many wheels would need much memory.
    metadata, raw = wheel.parse_metadata(path)
    with files.explained(path):
        size = path.stat().st_size
    return Record(
        project=wheel.parse_filename(path.name)[0],
        filename=path.name,
        sha256=sha256,
        requires_python=raw.get("requires_python"),
        metadata_sha256=files.bytes_sha256(metadata),
        size=size,
        uploaded=uploaded,
        origin=origin,
    )


def put(store: Store, source: Path, record: Record) -> bool:
    """Write the file of `record` and its metadata unless they are there; return whether something was written.

    Raises `WheelError` if `source` has another digest, `FileError`.
    """
    path = store.file(record.filename, record.sha256)
    metadata = wheel.read_metadata(source)
    if files.bytes_sha256(metadata) != record.metadata_sha256:
        raise WheelError(source, "changed while it was copied")
    is_new = atomic.write(store.metadata(record.filename, record.sha256), metadata, store.scratch)
    if files.is_sound(path, record.size or 0, record.sha256):
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
    kept = replace(
        record,
        uploaded=there.uploaded or record.uploaded,
        origin=there.origin or record.origin,
    )
    return atomic.write(path, kept.to_json(), store.scratch)


def _sound_record(path: Path) -> Record | None:
    """Return the record at `path`, or None if there is no valid one."""
    with contextlib.suppress(StoreError):
        return read_record(path)
    return None


def _refuse_conflicts(store: Store, records: Iterable[Record]) -> None:
    """Raise `StoreError` if the store has other bytes under the name of one of `records`."""
    facts = []
    for record in sorted(records, key=lambda record: record.filename):
        there = _sound_record(store.record(record.project, record.filename))
        if there is not None and there.sha256 != record.sha256:
            facts.append(record.filename)
            facts.append(f"  in the store: {_origin(there)}")
            facts.append(f"  new:          {_origin(record)}")
    if facts:
        raise ConflictError(
            f"{store.path} contains different files with the same name",
            facts=facts,
            hint="nothing was published; find out which file is genuine, or publish to another store",
        )


def _origin(record: Record) -> str:
    """Return the digest of `record`, and where and when it came from if that is known."""
    text = f"sha256 {record.sha256[:16]}..."
    if record.origin:
        text += f" from {record.origin}"
    if record.uploaded:
        text += f" on {record.uploaded[:10]}"
    return text
