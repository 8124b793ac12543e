"""Remove publications, and the wheels that no other publication uses."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import BundlerError
from bundler.layout import PUBLICATION
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress, Report
from bundler.publications.aliases import aliases, drop
from bundler.publications.history import log
from bundler.publications.leases import VALID_DAYS, leases
from bundler.publications.usage import Published, published, used_wheels, wheels_in_use
from bundler.units import counted
from wheelhouse import atomic, files
from wheelhouse.errors import FileError, WheelhouseError
from wheelhouse.store.discard import discard
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store

_DAY = 86400.0
# Bytes; a description has a few thousand.
_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Publications to remove, the wheels that would go with them, and the bytes that this frees."""

    publications: tuple[Published, ...]
    wheels: frozenset[str]
    size: int


def plan(store: Store, chosen: Sequence[Published]) -> Removal:
    """Return what removing `chosen` from `store` would remove: also their bases, and wheels that nothing else uses.

    Raises `BundlerError` if another publication is based on one of them.
    """
    everything = published(store)
    names = _with_bases({entry.name for entry in chosen}, everything)
    going = tuple(entry for entry in everything if entry.name in names)
    staying = [entry for entry in everything if entry.name not in names]
    wheels = frozenset(_wheels_of(going) - _wheels_of(staying))
    return Removal(publications=going, wheels=wheels, size=_size(store, going, wheels))


def _with_bases(names: set[str], everything: Sequence[Published]) -> set[str]:
    """Return `names` of publications and their bases, unless something else needs these.

    Raises `BundlerError` if another publication is based on one of `names`.
    """
    needed: dict[str, str] = {}
    bases: set[str] = set()
    for entry in everything:
        base = _base(entry.folder)
        if base is None or base == entry.name:
            continue
        if entry.name in names:
            bases.add(base)
        else:
            needed[base] = entry.name
    for name in sorted(names):
        if name in needed:
            raise BundlerError(
                f"{name} is the base of {needed[name]}", hint="remove both, or keep both"
            )
    return names | {base for base in bases if base not in needed}


def _wheels_of(entries: Iterable[Published]) -> set[str]:
    """Return the file names of the wheels that one of `entries` uses."""
    return {name for entry in entries for name in used_wheels(entry.folder, entry.manifest)}


def require_unused(store: Store, removal: Removal) -> None:
    """Raise `BundlerError` if jobs or aliases may still use one of the publications of `removal`."""
    facts = [fact for entry in removal.publications for fact in uses(store, entry.name)]
    if facts:
        raise BundlerError(
            f"{store.path}: some publications may still be in use",
            facts=facts,
            hint="use --force if no job needs it",
        )


def uses(store: Store, publication: str) -> list[str]:
    """Return why `publication` may still be needed: recent leases of `submit-jobs`, and aliases."""
    now = atomic.now(store.scratch)
    reasons = {}
    for lease in leases(store, publication):
        days = max(0, int((now - lease.time) / _DAY))
        if days < VALID_DAYS:
            reasons[lease.project] = (
                f"submitted {counted(days, 'day')} ago as HPS project {lease.project}"
            )
    facts = [f"{publication}: {reason}" for reason in reasons.values()]
    return facts + [
        f"{publication}: the alias {name} points to it" for name in _aliases_of(store, publication)
    ]


def outdated(store: Store, keep_last: int, older_than: float) -> list[Published]:
    """Return the publications of `store` that are neither among the `keep_last` newest of their bundle nor in use.

    All of them are older than `older_than` seconds, by the clock of the file server, and nothing was submitted from
    them since.
    """
    now = atomic.now(store.scratch)
    chosen = []
    for entries in _series(published(store)):
        for entry in entries[: max(0, len(entries) - keep_last)]:
            last = max([entry.time, *(lease.time for lease in leases(store, entry.name))])
            if now - last > older_than and not uses(store, entry.name):
                chosen.append(entry)
    return chosen


def _series(everything: Sequence[Published]) -> list[list[Published]]:
    """Return the publications of each bundle, the oldest first, without those on which only others are based."""
    bases = {entry.name: _base(entry.folder) for entry in everything}
    series: dict[str, list[Published]] = {}
    for entry in everything:
        is_only_base = entry.name in bases.values() and bases[entry.name] != entry.name
        if entry.manifest is not None and not is_only_base:
            series.setdefault(entry.manifest.name, []).append(entry)
    return list(series.values())


def remove(store: Store, removal: Removal, note: str = "", *, report: Report) -> None:
    """Remove what `removal` lists from `store`. Others may read and publish meanwhile.

    Raises `FileError`. After an interruption, the next removal does the rest.
    """
    detail = f"{counted(len(removal.wheels), 'wheel')} with {counted(len(removal.publications), 'publication')}"
    with sharing(store.path):
        for entry in removal.publications:
            report(Progress(text=f"Removing {entry.name}"))
            for name in _aliases_of(store, entry.name):
                drop(store, name)
            if _moved(store, entry):
                log(store, "remove", entry.name, detail=detail, note=note)
        finish(store, report=report)


def _moved(store: Store, entry: Published) -> bool:
    """Move a publication to the removed ones; return False if somebody else has just done so."""
    with files.explained(entry.folder):
        while entry.folder.exists():
            files.make_folder(store.removed)
            # The folder of removed ones goes when it is empty.
            with contextlib.suppress(FileNotFoundError):
                entry.folder.rename(store.removed / f"{entry.name}-{secrets.token_hex(6)}")
                return True
    return False


def finish(store: Store, *, report: Report) -> None:
    """Delete the removed publications of `store`, also those of interrupted runs. Raises `FileError`."""
    try:
        with files.explained(store.removed):
            folders = sorted(store.removed.iterdir())
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return
        raise
    in_use = wheels_in_use(store)
    wheels: dict[str, set[str]] = {}
    for folder in folders:
        for name, digests in _digests(folder).items():
            if name not in in_use:
                wheels[name] = digests
    report(Progress(text=f"Removing {counted(len(wheels), 'wheel')}"))
    discard(store, wheels, lambda: wheels_in_use(store))
    for folder in folders:
        name = folder.name.rpartition("-")[0]
        if not (store.publications / name).exists():
            shutil.rmtree(store.path / "leases" / name, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        store.removed.rmdir()


def _digests(folder: Path) -> dict[str, set[str]]:
    """Return the digests of the wheels of a removed publication, by file name; none for a damaged one."""
    names: dict[str, set[str]] = {name: set() for name in used_wheels(folder)}
    with contextlib.suppress(WheelhouseError):
        for file in read_manifest(folder).wheels:
            if file.filename in names:
                names[file.filename].add(file.sha256)
    return names


def _base(folder: Path) -> str | None:
    """Return the name of the publication on which the one in `folder` is based, which may be itself."""
    with contextlib.suppress(WheelhouseError, ValueError, KeyError, TypeError, RecursionError):
        path = str(json.loads(files.read_plain(folder / PUBLICATION, _LIMIT))["base"])
        return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return None


def _aliases_of(store: Store, publication: str) -> list[str]:
    return [name for name, target in aliases(store).items() if target == publication]


def _size(store: Store, going: Iterable[Published], wheels: frozenset[str]) -> int:
    """Return the bytes that removing the folders of `going`, and `wheels`, frees; hard links count once."""
    sizes: dict[tuple[int, int], int] = {}
    for entry in going:
        sizes |= _inodes(entry.folder)
    for entry in going:
        for file in entry.manifest.wheels if entry.manifest else ():
            with contextlib.suppress(OSError):
                status = store.file(file.filename, file.sha256).stat()
                if file.filename in wheels:
                    sizes[status.st_dev, status.st_ino] = status.st_size
                else:
                    sizes.pop((status.st_dev, status.st_ino), None)
    return sum(sizes.values())


def _inodes(folder: Path) -> dict[tuple[int, int], int]:
    """Return the size of each file in `folder` by its device and inode."""
    result = {}
    for base, _, names in os.walk(folder):  # Which ignores what is removed meanwhile.
        for name in names:
            with contextlib.suppress(OSError):
                status = Path(base, name).lstat()
                if stat.S_ISREG(status.st_mode):
                    result[status.st_dev, status.st_ino] = status.st_size
    return result
