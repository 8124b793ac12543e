"""Verify a whole store, and restore what can be restored from what is still good in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.bundles.verify import verify
from bundler.cache import cache_folder
from bundler.errors import DamagedError
from bundler.progress import Progress, Report
from bundler.publications.history import log
from bundler.publications.usage import Published, published
from bundler.units import counted
from wheelhouse import atomic, files
from wheelhouse.errors import FileError, WheelhouseError
from wheelhouse.store import adding, pages, store
from wheelhouse.store.damage import Damage, StoredFile, damaged_files, damaged_index, stored_files
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store

# Seconds between two records of what was verified already.
_EVERY = 2.0
_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a store to verify: a random `sample` from 0 to 1, and only what is newer than `since`.

    `since` is in seconds since 1970. With `resume`, files that an interrupted run of this user verified are skipped.
    """

    sample: float = 1.0
    since: float = 0.0
    resume: bool = False

    def includes(self, written: float) -> bool:
        """Return whether to verify something that was `written` then."""
        return written >= self.since and (self.sample >= 1 or random.random() < self.sample)  # noqa: S311 - a sample


def find_damage(place: Store, extent: Extent, *, report: Report) -> list[Damage]:
    """Verify files, metadata, records, pages and publications of the store `place`; return what is wrong.

    Raises `FileError`.
    """
    present, damage = stored_files(place)
    name = hashlib.sha256(os.fsencode(place.path.absolute())).hexdigest()[:16]
    state = cache_folder() / "verify" / f"{name}.json"
    start, earlier = _read_state(state) if extent.resume else ("", [])
    damage += earlier
    chosen = [file for file in present if extent.includes(file.time) and file.sha256 >= start]
    known: dict[tuple[int, ...], str] = {}
    done, total, written = 0, sum(file.size for file in chosen), time.monotonic()
    with contextlib.closing(damaged_files(place, chosen)) as work:
        for file, problems in work:
            damage += problems
            known |= {} if problems else _identity(file)
            done += file.size
            if time.monotonic() - written > _EVERY:
                written = time.monotonic()
                _write_state(state, file.sha256, damage)
            report(
                Progress(text=f"Verifying {counted(len(chosen), 'wheel')}", done=done, total=total)
            )
    report(Progress(text="Verifying the index"))
    damage += damaged_index(place, present)
    for entry in published(place):
        if extent.includes(entry.time):
            report(Progress(text=f"Verifying {entry.name}"))
            damage += _damage_of(entry, known)
    with contextlib.suppress(OSError):
        state.unlink(missing_ok=True)
    first = {item.path: item for item in reversed(damage)}
    return sorted(first.values(), key=lambda item: item.path)


def _identity(file: StoredFile) -> dict[tuple[int, ...], str]:
    """Return the digest of a good file by what a hard link to it has in common with it."""
    with contextlib.suppress(OSError):
        return {_key(file.path): file.sha256}
    return {}


def _key(path: Path) -> tuple[int, ...]:
    status = path.lstat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _damage_of(entry: Published, known: dict[tuple[int, ...], str]) -> list[Damage]:
    """Return what is wrong with a publication; files whose digest is `known` are not read again."""

    def digest(path: Path, size: int) -> str:
        return known.get(_key(path)) or files.plain_sha256(path, size)

    folder = f"publications/{entry.name}"
    try:
        verify(entry.folder, digest)
    except DamagedError as error:
        return [Damage(path=f"{folder}/{name}", problem=kind) for kind, name in error.rows]
    except FileError as error:
        if isinstance(error.error, FileNotFoundError) and not entry.folder.exists():
            return []  # It was removed just now.
        return [Damage(path=folder, problem=error.message)]
    except WheelhouseError as error:
        return [Damage(path=folder, problem=error.message)]
    return []


def restore(place: Store, damage: Iterable[Damage]) -> list[Damage]:
    """Restore what can be restored from the rest of the store; return what was restored. Raises `FileError`.

    Wheels come from files or publications where they are still good, metadata and records from the wheels, and pages
    from the records. Everything else comes from the bundle, by publishing it again.
    """
    entries = published(place)
    projects: set[str] = set()
    restored: list[Damage] = []
    with sharing(place.path):
        for item in damage:
            top, *rest = item.path.split("/")
            if top == "simple":
                projects |= {rest[0]} & set(place.projects())
                restored += [item] if item.problem != "foreign" else []
            elif _restored(place, entries, top, rest, item.problem):
                restored.append(item)
        pages.write_pages(place, projects)
        for item in restored:
            log(place, "repair", item.path, detail=f"was {item.problem}")
    return restored


def _restored(
    place: Store, entries: Sequence[Published], top: str, rest: Sequence[str], problem: str
) -> bool:
    """Restore the file `top`/`rest` if it is a wheel, its metadata or its record; return whether it was."""
    if problem == "foreign":
        return False
    is_published = top == "publications" and rest[1:2] == ["wheels"]
    filename = rest[-1].removesuffix(store.METADATA).removesuffix(".json")
    if not (is_published or top in {"files", "records"}):
        return False
    source = _good_copy(place, entries, filename, rest[1] if top == "files" else None)
    if source is None:
        return False
    path, digest = source
    (stored, _), *_ = adding.add(place, [(path, digest)])
    if is_published:
        target = place.path.joinpath(top, *rest)
        partial = atomic.beside(target, place.scratch)
        files.link(stored, partial)
        with files.explained(target):
            partial.replace(target)
    return True


def _good_copy(
    place: Store, entries: Sequence[Published], filename: str, sha256: str | None
) -> tuple[Path, str] | None:
    """Return the path and digest of an undamaged wheel `filename`, with the digest `sha256` if that is given."""
    for entry in entries:
        for file in entry.manifest.files if entry.manifest else ():
            if file.path == f"wheels/{filename}" and sha256 in (None, file.sha256):
                for path in (place.file(filename, file.sha256), entry.folder / file.path):
                    if files.is_sound(path, file.size, file.sha256):
                        return path, file.sha256
    path = place.file(filename, sha256 or "")
    if sha256 and path.is_file() and files.is_sound(path, path.stat().st_size, sha256):
        return path, sha256
    return None


def _read_state(path: Path) -> tuple[str, list[Damage]]:
    """Return the digest up to which an interrupted run verified files, and the damage it found."""
    with contextlib.suppress(FileError, ValueError, KeyError, TypeError, RecursionError):
        values = json.loads(files.read_plain(path, _LIMIT))
        return str(values["done"]), [
            Damage(path=str(path), problem=str(problem)) for path, problem in values["damage"]
        ]
    return "", []


def _write_state(path: Path, done: str, damage: Sequence[Damage]) -> None:
    with contextlib.suppress(FileError):  # Without a cache, a later run starts again.
        document = {"done": done, "damage": [[item.path, item.problem] for item in damage]}
        atomic.write(path, json.dumps(document).encode())
