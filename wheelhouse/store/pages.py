"""The pages of a store's index, as a function of its records."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.errors import StoreError
from wheelhouse.store.index import (
    Link,
    project_json,
    project_page,
    root_json,
    root_page,
)
from wheelhouse.store.record import RECORD, YANKED, Record, read_record, yank_reason
from wheelhouse.store.store import Store


def write_pages(store: Store, projects: Collection[str]) -> list[StoreError]:
    """Write the index pages of `projects` and the root pages from the records; return errors of malformed records."""
    errors = []
    for project in sorted(projects):
        errors += _write_project(store, project)
    listed = None
    while (names := store.projects()) != listed:
        simple = store.path / "simple"
        atomic.write(simple / "index.html", root_page(names), store.scratch)
        atomic.write(simple / "index.json", root_json(names), store.scratch)
        listed = names
    return errors


def _write_project(store: Store, project: str) -> list[StoreError]:
    """Write the pages of `project` until its records do not change meanwhile; return errors of malformed records."""
    errors: list[StoreError] = []
    written = None
    while (state := _state(store.path / "records" / project)) != written:
        links, errors = links_of(store, project, state)
        for name, data in pages_of(project, links).items():
            atomic.write(store.path / "simple" / project / name, data, store.scratch)
        if not links:
            _remove_project(store, project)
        written = state
    return errors


def _remove_project(store: Store, project: str) -> None:
    """Remove the pages of `project` unless it has files of any kind in its folder of records."""
    try:
        (store.path / "records" / project).rmdir()
    except FileNotFoundError:
        pass
    except OSError:  # Something is in it, or somebody else is adding to it.
        return
    folder = store.path / "simple" / project
    with files.explained(folder):
        for name in pages_of(project, ()):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # It is gone, or somebody is adding to it.
        folder.rmdir()


def pages_of(project: str, links: Sequence[Link]) -> dict[str, bytes]:
    """Return the pages of `project` by their file names."""
    return {
        "index.html": project_page(project, links),
        "index.json": project_json(project, links),
    }


def links_of(
    store: Store, project: str, names: Collection[str]
) -> tuple[list[Link], list[StoreError]]:
    """Return the links for the page of `project` from its records `names`, and the errors of malformed ones."""
    links = []
    errors = []
    for name in names:
        filename = name.removesuffix(RECORD)
        if filename == name:
            continue
        try:
            record = read_record(store.record(project, filename))
        except StoreError as error:
            errors.append(error)
            continue
        if record is None:
            continue
        yanked = None
        if f"{filename}{YANKED}" in names:
            yanked = yank_reason(store.yanked(project, filename))
        links.append(_link(store, record, yanked))
    return links, errors


def _state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what changes whenever a file in `folder` is written, by name; nothing if it does not exist."""
    with (
        files.explained(folder),
        contextlib.suppress(FileNotFoundError),
        os.scandir(folder) as entries,
    ):
        visible = [
            (entry.name, entry.stat(follow_symlinks=False))
            for entry in entries
            if entry.name[0] != "."
        ]
        return {
            name: (status.st_ino, status.st_mtime_ns, status.st_size)
            for name, status in sorted(visible)
        }
    return {}


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
