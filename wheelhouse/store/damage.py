"""Find damage in a store: files, records and pages that are missing or differ from what they should be."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wheelhouse import files, wheel
from wheelhouse.errors import FileError, WheelError
from wheelhouse.store.index import root_json, root_page
from wheelhouse.store.pages import links_of, pages_of
from wheelhouse.store.record import RECORD, YANKED
from wheelhouse.store.store import METADATA, Store

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
    found = []
    damage = []
    root = store.path / "files"
    for base, folders, names in os.walk(root):
        folders.sort()
        folder = Path(base)
        digest = folder.name
        is_of_a_digest = folder.relative_to(root).parts == (digest[:2], digest)
        for name in sorted(names):
            path = folder / name
            try:
                status = path.lstat()
            except OSError:
                continue  # It was removed just now.
            wheel_name = name.removesuffix(METADATA)
            if wheel_name != name:
                if wheel_name not in names:
                    damage.append(_damage(store, folder / wheel_name, "missing"))
            elif is_of_a_digest and name.endswith(".whl"):
                found.append(
                    StoredFile(
                        path=path,
                        sha256=digest,
                        size=status.st_size,
                        time=status.st_mtime,
                    )
                )
            else:
                damage.append(_damage(store, path, "foreign"))
    return found, damage


def damaged_files(
    store: Store, chosen: Sequence[StoredFile]
) -> Generator[tuple[StoredFile, list[Damage]], None, None]:
    """Yield each wheel of `chosen`, in order, with what is wrong with it and its metadata. Raises `FileError`."""
    with ThreadPoolExecutor(_THREADS) as pool:
        damage = pool.map(_damage_of, itertools.repeat(store), chosen)
        yield from zip(chosen, damage, strict=True)


def _damage_of(store: Store, file: StoredFile) -> list[Damage]:
    path = file.path
    try:
        if not files.is_sound(path, file.size, file.sha256):
            return [_damage(store, path, "changed" if path.exists() else "missing")]
        metadata, _ = wheel.parse_metadata(path)
    except (FileError, WheelError) as error:
        return [_damage(store, path, error.message)]
    return list(_compare(store, store.metadata(path.name, file.sha256), metadata))


def damaged_index(store: Store, present: Sequence[StoredFile]) -> Iterator[Damage]:
    """Yield what is wrong with the records of the wheels `present` in `store`, and with its pages."""
    projects = store.projects()
    for file in present:
        record = store.record(wheel.parse_filename(file.path.name)[0], file.path.name)
        if not record.exists():
            yield _damage(store, record, "missing")
    for project in projects:
        yield from _damage_of_project(store, project)
    simple = store.path / "simple"
    pages = {
        "index.html": root_page(projects),
        "index.json": root_json(projects),
    }
    for name, data in pages.items():
        yield from _compare(store, simple / name, data)
    extra = []
    if simple.is_dir():
        extra += _others(simple, {*projects, *pages})
    extra += _others(store.path / "records", set(projects))
    for path in sorted(extra):
        yield _damage(store, path, "foreign")


def _others(folder: Path, expected: Collection[str]) -> list[Path]:
    """Return what `folder` has besides the `expected` names and hidden ones. Raises `FileError`."""
    with files.explained(folder):
        visible = [path for path in folder.iterdir() if path.name[0] != "."]
    return [path for path in visible if path.name not in expected]


def _damage_of_project(store: Store, project: str) -> Iterator[Damage]:
    folder = store.path / "records" / project
    names = sorted(path.name for path in _others(folder, ()))
    links, errors = links_of(store, project, names)
    known = {link.filename for link in links}
    for error in errors:
        text, _, problem = error.message.partition(": ")
        path = Path(text)
        known.add(path.name.removesuffix(RECORD))
        yield _damage(store, path, problem)
    for name in names:
        if name.removesuffix(RECORD).removesuffix(YANKED) not in known:
            yield _damage(store, folder / name, "foreign")
    for link in links:
        # The file is not read.
        path = store.file(link.filename, link.sha256)
        if not path.is_file():
            yield _damage(store, path, "missing")
    for name, data in pages_of(project, links).items():
        yield from _compare(store, store.path / "simple" / project / name, data)


def _compare(store: Store, path: Path, data: bytes) -> Iterator[Damage]:
    """Yield what is wrong with the file `path`, which should have the bytes `data`."""
    problem = "changed"
    try:
        if files.read_plain(path, _PAGE_LIMIT) == data:
            return
    except FileError as error:
        problem = error.message.partition(": ")[2]
        if isinstance(error.error, FileNotFoundError):
            problem = "missing"
    yield _damage(store, path, problem)


def _damage(store: Store, path: Path, problem: str) -> Damage:
    return Damage(path=path.relative_to(store.path).as_posix(), problem=problem)
