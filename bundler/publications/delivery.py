"""The one way into a store: wheels first, then a publication that appears complete or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundler.layout import MANIFEST
from bundler.manifest import File
from bundler.progress import Progress, Report
from bundler.publications.history import is_logged, log
from bundler.units import counted
from wheelhouse import atomic, files
from wheelhouse.errors import FileError, StoreError
from wheelhouse.space import require_space
from wheelhouse.store import adding
from wheelhouse.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The publication `name` for `store`: its manifest, whose bytes are `manifest`, and its `wheels` with their paths.

    `origin` says in the store where the wheels come from, `others` is the bytes of the other files of the publication,
    and `note` a text for the history of the store.
    """

    store: Store
    name: str
    manifest: bytes
    wheels: Mapping[File, Path]
    origin: str
    others: int
    note: str

    @property
    def place(self) -> Path:
        """The folder of the publication."""
        return self.store.publications / self.name

    @property
    def sha256(self) -> str:
        """The digest of the manifest."""
        return hashlib.sha256(self.manifest).hexdigest()

    def stored(self, file: File) -> Path:
        """Return the path of a wheel in the store."""
        return self.store.file(file.filename, file.sha256)


def deliver(
    delivery: Delivery,
    *,
    is_current: Callable[[Path], bool],
    fill: Callable[[Path], str],
    report: Report,
) -> Path:
    """Put the wheels of `delivery` into the store and publish it; return the folder of the publication.

    `is_current` returns whether the publication is there already and needs nothing. `fill` writes everything but the
    manifest to a new folder, and returns a detail for the history. Raises the errors of both, those of `adding.add`,
    and `FileError`.
    """
    store, place = delivery.store, delivery.place
    is_repair = place.exists()
    if is_repair:
        restored = _store_wheels(delivery, 0, report)
        if is_current(place):
            _tell_restored(delivery, restored, report)
            return place
    with (
        atomic.building(place, replace=is_repair, scratch=store.scratch) as folder,
        files.explained(place),
    ):
        # First, since it announces the wheels to processes that remove files right now.
        atomic.write(folder / MANIFEST, delivery.manifest)
        _store_wheels(delivery, delivery.others, report)
        detail = fill(folder)
    # Somebody may have removed some meanwhile.
    if not all(adding.is_complete(store, file.filename, file.sha256) for file in delivery.wheels):
        _store_wheels(delivery, 0, report)
    action = "repair" if is_repair else "publish"
    log(store, action, place.name, sha256=delivery.sha256, detail=detail, note=delivery.note)
    return place


def ensure_logged(delivery: Delivery) -> bool:
    """Add a publication to the history whose publisher was killed before that; return False if it was just removed.

    Raises `FileError`.
    """
    if is_logged(delivery.store, delivery.name):
        return True
    try:
        digest = files.sha256(delivery.place / MANIFEST)
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return False
        raise
    log(delivery.store, "publish", delivery.name, sha256=digest, note=delivery.note)
    return True


def _tell_restored(delivery: Delivery, restored: int, report: Report) -> None:
    text = f"{delivery.name} is already published"
    if restored:
        wheels = counted(restored, "wheel")
        log(
            delivery.store, "repair", delivery.name, detail=f"restored {wheels}", note=delivery.note
        )
        text += f" (restored {wheels} in the store)"
    report(Progress(kind="note", text=text))


def _store_wheels(delivery: Delivery, others: int, report: Report) -> int:
    """Add the wheels to the store; return how many of them were not there, or damaged.

    Requires space for `others` bytes in addition. Publications that share a damaged file get the good one.
    """
    store, wheels = delivery.store, list(delivery.wheels)
    before = {file: _inode(delivery.stored(file)) for file in wheels}
    absent = sum(file.size for file in wheels if before[file] is None)
    require_space({store.path: absent + others})
    errors: list[StoreError] = []
    sources = [(path, file.sha256) for file, path in delivery.wheels.items()]
    added = adding.add(store, sources, delivery.origin, errors.append)
    done = restored = 0
    total = sum(file.size for file in wheels)
    replaced: dict[tuple[int, int], Path] = {}
    for file, (path, is_new) in zip(wheels, added, strict=True):
        done += file.size
        restored += is_new
        inode = before[file]
        if inode is not None and _inode(path) != inode:
            replaced[inode] = path
        report(Progress(text=f"Publishing {counted(len(wheels), 'wheel')}", done=done, total=total))
    if replaced:
        _link_again(store, replaced)
    for error in errors:
        report(Progress(kind="warning", text=str(error)))
    return restored


def _link_again(store: Store, replaced: Mapping[tuple[int, int], Path]) -> None:
    """Replace the wheels of publications that are hard links to damaged files, which were `replaced` in the store."""
    for path in store.publications.glob("*/wheels/*"):
        inode = _inode(path)
        good = replaced.get(inode) if inode is not None else None
        if good is not None and good.name == path.name:
            partial = atomic.beside(path, store.scratch)
            files.link(good, partial)
            with files.explained(path):
                partial.replace(path)


def _inode(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of `path`, or None if it does not exist."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def put_wheels(
    delivery: Delivery, folder: Path, put: Callable[[Path, Path], None] = files.link
) -> None:
    """Put the wheels of `delivery` from the store into `folder` with `put`. Raises `FileError`."""
    for file, source in delivery.wheels.items():
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            put(delivery.stored(file), path)
        except FileError as error:
            if not isinstance(error.error, FileNotFoundError):
                raise
            # Somebody has just removed it, and puts it back.
            files.copy(source, path)
