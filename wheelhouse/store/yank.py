"""Yank files of a store (PEP 592): installers ignore them unless that exact version is requested."""

from __future__ import annotations

from wheelhouse import atomic, files
from wheelhouse.errors import StoreError
from wheelhouse.store.pages import write_pages
from wheelhouse.store.record import Record, read_record, yank_json
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store
from wheelhouse.wheel import parse_filename


def yank(store: Store, filename: str, reason: str) -> Record:
    """Mark the file `filename` as yanked for `reason`; return its record. Raises `StoreError`, `FileError`."""
    record = _existing(store, filename)
    if not reason.isprintable():
        raise StoreError("the reason must be one line of text")
    with sharing(store.path):
        atomic.write(
            store.yanked(record.project, filename),
            yank_json(reason),
            store.scratch,
        )
        write_pages(store, [record.project])
    return record


def unyank(store: Store, filename: str) -> Record:
    """Undo `yank`; return the record of the file. Raises `StoreError`, `FileError`."""
    record = _existing(store, filename)
    path = store.yanked(record.project, filename)
    with sharing(store.path):
        with files.explained(path):
            path.unlink(missing_ok=True)
        write_pages(store, [record.project])
    return record


def _existing(store: Store, filename: str) -> Record:
    try:
        record = read_record(store.record(parse_filename(filename)[0], filename))
    except ValueError as error:
        raise StoreError(str(error), hint="name a file as STORE/simple lists it") from None
    if record is None:
        raise StoreError(
            f"{store.path} has no file {filename}",
            hint="name a file as STORE/simple lists it",
        )
    return record
