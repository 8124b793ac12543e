"""Find damage in a store: files, records and pages that are missing or differ from what they should be."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wheelhouse import files, wheel
from wheelhouse.errors import FileError, WheelError
from wheelhouse.files import is_sound
from wheelhouse.index import Link, root_json, root_page
from wheelhouse.pages import links_of, pages_of
from wheelhouse.record import RECORD, YANKED
from wheelhouse.store import METADATA, Store

_THREADS = 4
# Bytes; a page of the largest projects has a few MB.
_PAGE_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something wrong with the file `path`, relative to the store: `problem` is missing, changed, foreign or a text."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A wheel in the store at `path`, with its `size` in bytes and the digest that its folder is named after."""

    path: Path
    sha256: str
    size: int
    time: float


def stored_files(store: Store) -> tuple[list[StoredFile], list[Damage]]:
    """Return the wheels in `store` in the order of their digests, and what does not belong to its files."""
    found: list[StoredFile] = []
    damage: list[Damage] = []
    root = store.path / "files"
    for base, folders, names in os.walk(root):
        folders.sort()
        present = set(names)
        for name in sorted(names):
            path = Path(base, name)
            try:
                status = path.lstat()
            except OSError:
                continue  # It was removed just now.
            digest = path.parent.name
            relative = path.relative_to(root).parts
            if name.endswith(METADATA):
                if name.removesuffix(METADATA) not in present:
                    damage.append(Damage(path=_name(store, path).removesuffix(METADATA), problem="missing"))
                continue
            if len(relative) != 3 or relative[0] != digest[:2] or not name.endswith(".whl"):  # noqa: PLR2004 - files/ab/abcd/name
                damage.append(Damage(path=_name(store, path), problem="foreign"))
            else:
                found.append(StoredFile(path=path, sha256=digest, size=status.st_size, time=status.st_mtime))
    return found, damage


def damaged_files(store: Store, chosen: Sequence[StoredFile]) -> Generator[tuple[StoredFile, list[Damage]], None, None]:
    """Yield each wheel of `chosen`, in order, with what is wrong with it and its metadata. Raises `FileError`."""
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from zip(chosen, pool.map(lambda file: list(_damage_of(store, file)), chosen), strict=True)


def _damage_of(store: Store, file: StoredFile) -> Iterator[Damage]:
    name = _name(store, file.path)
    try:
        if not is_sound(file.path, file.size, file.sha256):
            yield Damage(path=name, problem="changed" if file.path.exists() else "missing")
            return
        metadata, _ = wheel.parse_metadata(file.path)
    except (FileError, WheelError) as error:
        yield Damage(path=name, problem=error.message)
        return
    yield from _compare(store, file.path.with_name(f"{file.path.name}{METADATA}"), metadata)


def damaged_index(store: Store, present: Sequence[StoredFile]) -> Iterator[Damage]:
    """Yield what is wrong with the records of the wheels `present` in `store`, and with its pages."""
    projects = store.projects()
    for file in present:
        record = store.record(wheel.parse_filename(file.path.name)[0], file.path.name)
        if not record.exists():
            yield Damage(path=_name(store, record), problem="missing")
    for project in projects:
        yield from _damage_of_project(store, project)
    root = store.path / "simple"
    pages = {"index.html": root_page(projects), "index.json": root_json(projects)}
    for name, data in pages.items():
        yield from _compare(store, root / name, data)
    expected = {*projects, *pages}
    with files.explained(root):
        extra = (
            [path for path in root.iterdir() if path.name not in expected and path.name[0] != "."]
            if root.is_dir()
            else []
        )
    records = store.path / "records"
    with files.explained(records):
        extra += [path for path in records.iterdir() if path.name not in projects and path.name[0] != "."]
    for path in sorted(extra):
        yield Damage(path=_name(store, path), problem="foreign")


def _damage_of_project(store: Store, project: str) -> Iterator[Damage]:
    folder = store.path / "records" / project
    with files.explained(folder):
        names = {path.name for path in folder.iterdir() if path.name[0] != "."}
    links, errors = links_of(store, project, sorted(names))
    for error in errors:
        path, _, problem = error.message.partition(": ")
        yield Damage(path=_name(store, Path(path)), problem=problem)
    known = {link.filename for link in links} | {
        Path(error.message.partition(": ")[0]).name.removesuffix(RECORD) for error in errors
    }
    for name in sorted(names):
        if name.removesuffix(RECORD).removesuffix(YANKED) not in known:
            yield Damage(path=_name(store, folder / name), problem="foreign")
    for link in links:
        yield from _unlinked(store, link)
    for name, data in pages_of(project, links).items():
        yield from _compare(store, store.path / "simple" / project / name, data)


def _unlinked(store: Store, link: Link) -> Iterator[Damage]:
    """Yield what is wrong with the file of `link` without reading it."""
    path = store.file(link.filename, link.sha256)
    if not path.is_file():
        yield Damage(path=_name(store, path), problem="missing")


def _compare(store: Store, path: Path, data: bytes) -> Iterator[Damage]:
    try:
        if files.read_plain(path, _PAGE_LIMIT) == data:
            return
        problem = "changed"
    except FileError as error:
        problem = "missing" if isinstance(error.error, FileNotFoundError) else error.message.partition(": ")[2]
    yield Damage(path=_name(store, path), problem=problem)


def _name(store: Store, path: Path) -> str:
    return path.relative_to(store.path).as_posix()
