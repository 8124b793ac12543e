"""Create a store, upgrade one of an older format, and clean up after killed publishers."""

from __future__ import annotations

from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.store.pages import write_pages
from wheelhouse.store.sharing import share_like_parent, sharing
from wheelhouse.store.store import FORMAT, Store, format_json, no_store, read_format


def create_store(path: Path) -> Store:
    """Return the store at `path` for changes to it; it is created or upgraded if necessary.

    Also deletes what killed publishers left there more than a day ago. Raises `StoreError`, `FileError`.
    """
    with files.explained(path):
        if not path.exists():
            files.make_folder(path)
            share_like_parent(path)
    store = Store(path)
    format_path = path / "store.json"
    with sharing(path), files.explained(path):
        is_empty = all(entry.name.startswith(".") for entry in path.iterdir())
        # Checked after the listing, since a concurrent publisher writes store.json first.
        is_new = not format_path.exists()
        if is_new and not is_empty:
            raise no_store(path, "is not empty and has no store.json")
        files.make_folder(store.scratch)
        if is_new:
            atomic.claim(format_path, format_json(), store.scratch)
        version = read_format(path)
        files.make_folder(path / "records")
        files.make_folder(store.publications)
        if version < FORMAT:
            write_pages(store, store.projects())  # Format 1 has no JSON.
            atomic.write(format_path, format_json(), store.scratch)
        atomic.clear_abandoned(store.scratch)
    return store
