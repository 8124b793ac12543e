"""Remove files from a store while others read it and publish to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.errors import StoreError
from wheelhouse.store.pages import write_pages
from wheelhouse.store.record import Record, read_record, yank_json, yank_reason
from wheelhouse.store.store import Store
from wheelhouse.wheel import parse_filename


@dataclass(frozen=True, slots=True, kw_only=True)
class _MovedFile:
    """A file of `wheel` that was moved from `path` to `partial`."""

    wheel: str
    path: Path
    partial: Path


def discard(
    store: Store,
    wheels: Mapping[str, Collection[str]],
    in_use: Callable[[], Collection[str]],
) -> None:
    """Remove wheels, digests by file name, from the index and from `store`.

    Records go first, then their links on the pages, then the files, so that no page ever links to nothing. A publisher
    may start to use a file meanwhile: a publisher announces its files before it looks for them, and this looks for
    announcements (`in_use`) after it has moved the files away, so at least one of the two notices and puts them back.
    Raises `FileError`. After an interruption, the same call does the rest.
    """
    records = {name: _take_record(store, name) for name in wheels}
    write_pages(store, _projects(wheels))
    moved = []
    for name, stated in wheels.items():
        digests = set(stated)
        record = records[name]
        if record is not None:
            digests.add(record.sha256)
        for digest in digests:
            moved += _move_away(store, name, digest)
    if not moved:
        return
    used = set(in_use())
    needed = set()
    for file in moved:
        if file.wheel in used:
            needed.add(file.wheel)
            _put_back(store, file, records[file.wheel])
        else:
            _delete(file)
    if needed:
        write_pages(store, _projects(needed))


def _projects(names: Iterable[str]) -> set[str]:
    return {parse_filename(name)[0] for name in names}


def _take_record(store: Store, name: str) -> Record | None:
    """Delete the record of the file `name`; return it if it was valid."""
    project, _ = parse_filename(name)
    path = store.record(project, name)
    yanked = store.yanked(project, name)
    record = None
    with contextlib.suppress(StoreError):  # A malformed record is no reason to keep it.
        record = read_record(path)
    with files.explained(path):
        if record is not None and yanked.exists():
            record = replace(record, yanked=yank_reason(yanked))  # In case the file is put back.
        path.unlink(missing_ok=True)
        yanked.unlink(missing_ok=True)
    return record


def _move_away(store: Store, wheel: str, digest: str) -> list[_MovedFile]:
    """Move the files of a wheel that exist to the scratch folder of `store`."""
    moved = []
    for path in (store.file(wheel, digest), store.metadata(wheel, digest)):
        partial = atomic.beside(path, store.scratch)
        with files.explained(path), contextlib.suppress(FileNotFoundError):
            path.replace(partial)
            moved.append(_MovedFile(wheel=wheel, path=path, partial=partial))
    return moved


def _put_back(store: Store, file: _MovedFile, record: Record | None) -> None:
    with files.explained(file.path):
        atomic.placed(file.partial, file.path)
    if record is None:
        return
    path = store.record(record.project, record.filename)
    atomic.claim(path, record.to_json(), store.scratch)
    if record.yanked is not None:
        path = store.yanked(record.project, record.filename)
        atomic.write(path, yank_json(record.yanked), store.scratch)


def _delete(file: _MovedFile) -> None:
    with files.explained(file.path):
        file.partial.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # Not empty, or somebody is adding to it.
        file.path.parent.rmdir()
        file.path.parent.parent.rmdir()
