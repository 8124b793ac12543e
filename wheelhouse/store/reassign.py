"""Assign the name of a file in a store to other bytes, which only its owner should decide."""

from __future__ import annotations

from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.errors import StoreError
from wheelhouse.store import adding, pages
from wheelhouse.store.record import Record, read_record
from wheelhouse.store.store import Store
from wheelhouse.wheel import parse_filename


def reassign(place: Store, path: Path) -> tuple[Record, Record]:
    """Let the index of the store `place` offer the wheel at `path` under its name; return the old and the new record.

    Publications that use the old file keep it. uv caches files by name, so clients that have the old one may need an
    empty cache. Raises `StoreError` if the name has no other file, `WheelError`, `FileError`.
    """
    try:
        project, _ = parse_filename(path.name)
    except ValueError as error:
        raise StoreError(f"{path}: {error}", hint="name the genuine wheel") from None
    record_path = place.record(project, path.name)
    old = read_record(record_path)
    digest = files.sha256(path)
    if old is None or old.sha256 == digest:
        fact = "has this file already" if old else "has no file of this name"
        raise StoreError(
            f"{path.name}: {place.path} {fact}",
            hint="publish the bundle or folder of the wheel",
        )
    new = adding.describe(path, digest, adding.upload_time(place), path.absolute().parent.name)
    adding.put(place, path, new)
    atomic.write(record_path, new.to_json(), place.scratch)
    pages.write_pages(place, [project])
    return old, new
