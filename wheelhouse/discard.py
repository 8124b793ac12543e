"""Remove files from a store while others read it and publish to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.errors import StoreError
from wheelhouse.pages import write_pages
from wheelhouse.record import YANKED, Record, read_record, yank_json, yank_reason
from wheelhouse.store import METADATA, Store
from wheelhouse.wheel import parse_filename


def discard(store: Store, wheels: Mapping[str, Collection[str]], in_use: Callable[[], Collection[str]]) -> None:
    """Remove wheels, digests by file name, from the index and from `store`.

    Records go first, then their links on the pages, then the files, so that no page ever links to nothing. A publisher
    may start to use a file meanwhile: a publisher announces its files before it looks for them, and this looks for
    announcements (`in_use`) after it has moved the files away, so at least one of the two notices and puts them back.
    Raises `FileError`. After an interruption, the same call does the rest.
    """
    records = {name: record for name in wheels if (record := _take_record(store, name)) is not None}
    projects = {parse_filename(name)[0] for name in wheels}
    write_pages(store, projects)
    moved = [
        (name, path, partial)
        for name, digests in wheels.items()
        for digest in {*digests, *({records[name].sha256} if name in records else ())}
        for path in (store.file(name, digest), store.file(f"{name}{METADATA}", digest))
        if (partial := _moved(store, path)) is not None
    ]
    needed = {name for name, _, _ in moved} & set(in_use()) if moved else set()
    for name, path, partial in moved:
        if name in needed:
            _put_back(store, path, partial, records.get(name))
        else:
            _delete(path, partial)
    if needed:
        write_pages(store, {parse_filename(name)[0] for name in needed})


def _take_record(store: Store, name: str) -> Record | None:
    """Delete the record of the file `name`; return it if it was valid."""
    path = store.record(parse_filename(name)[0], name)
    record = None
    with contextlib.suppress(StoreError):  # A malformed record is no reason to keep it.
        record = read_record(path)
    yanked = path.with_name(f"{name}{YANKED}")
    with files.explained(path):
        if record is not None and yanked.exists():
            record = replace(record, yanked=yank_reason(yanked))  # In case the file is put back.
        path.unlink(missing_ok=True)
        yanked.unlink(missing_ok=True)
    return record


def _moved(store: Store, path: Path) -> Path | None:
    """Move `path` to the scratch folder of `store`; return its path there, or None if it does not exist."""
    partial = atomic.beside(path, store.scratch)
    with files.explained(path), contextlib.suppress(FileNotFoundError):
        path.replace(partial)
        return partial
    return None


def _put_back(store: Store, path: Path, partial: Path, record: Record | None) -> None:
    with files.explained(path):
        atomic.placed(partial, path)
    if record is not None:
        place = store.record(record.project, record.filename)
        atomic.claim(place, record.to_json(), store.scratch)
        if record.yanked is not None:
            atomic.write(place.with_name(f"{record.filename}{YANKED}"), yank_json(record.yanked), store.scratch)


def _delete(path: Path, partial: Path) -> None:
    with files.explained(path):
        partial.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # Not empty, or somebody is adding to it.
        path.parent.rmdir()
        path.parent.parent.rmdir()
