"""Publish a folder of wheels that is not a bundle: it becomes a publication without scripts."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from bundler.bundles.verify import verify
from bundler.errors import BundlerError, CombinedError
from bundler.layout import MANIFEST, SUMS, WHEELS, sums
from bundler.manifest import SHARED_FOLDERS, File, Manifest
from bundler.progress import Progress, Report
from bundler.publications.approval import require_unsigned
from bundler.publications.delivery import Delivery, deliver, ensure_logged, put_wheels
from bundler.units import counted
from wheelhouse import atomic, files, wheel
from wheelhouse.errors import ArchiveError, WheelhouseError
from wheelhouse.members import DAMAGED
from wheelhouse.space import require_space
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store

_ID_LENGTH = 12
_THREADS = 4
_SDIST = re.compile(r".+\.(tar\.gz|zip)")


def is_wheelhouse(path: Path) -> bool:
    """Return whether `path` is a folder with wheels, or a zip file with wheels, and not a bundle."""
    if path.is_dir():
        return not (path / MANIFEST).exists() and next(path.rglob("*.whl"), None) is not None
    return path.suffix == ".zip" and zipfile.is_zipfile(path)


@contextlib.contextmanager
def folder_of(path: Path, scratch: Path) -> Iterator[Path]:
    """Yield the folder of wheels `path`, or a folder in `scratch` with the wheels of the zip file `path`.

    Raises `ArchiveError`, `FileError`.
    """
    if path.is_dir():
        yield path
        return
    folder = atomic.beside(path.absolute(), scratch)
    try:
        with files.explained(folder):
            folder.mkdir()
        _unpack(path, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> None:
    """Unpack the wheels in the zip file `path` to `folder`, without their own folders."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".whl")]
            require_space({folder: sum(member.file_size for member in members)})
            for member in members:
                name = PurePosixPath(member.filename.replace("\\", "/")).name
                wheel.parse_filename(name)
                with archive.open(member) as source, (folder / name).open("xb") as out:
                    shutil.copyfileobj(source, out)
    except FileExistsError as error:
        raise ArchiveError(path, f"contains {Path(error.filename).name} twice") from error
    except DAMAGED as error:
        raise ArchiveError(path, f"cannot be read ({error})") from error
    except OSError as error:
        with files.explained(folder):
            raise error from None


def publish_wheels(
    source: Path, destination: Store, note: str = "", name: str = "", *, report: Report
) -> Path:
    """Add all wheels below the folder `source` to the store `destination`; return the publication that lists them.

    `name` replaces the name of the folder in that of the publication. Publishing again restores missing and
    damaged files. Raises `CombinedError` for equal names, and the errors of `adding.add`.
    """
    paths = sorted(path for path in source.rglob("*.whl") if path.is_file())
    _warn_of_sources(source, report)
    require_unsigned(destination)
    report(Progress(text=f"Reading {counted(len(paths), 'wheel')}"))
    wheels = _files(paths)
    # Without scripts, all formats are alike, and the same wheels keep the name of their publication.
    manifest = Manifest(
        name=_name(name or source.absolute().name),
        scripts=(),
        targets=(),
        files=tuple(wheels),
        format=SHARED_FOLDERS,
    )
    data = manifest.to_json()
    delivery = Delivery(
        store=destination,
        name=f"{manifest.name}-{hashlib.sha256(data).hexdigest()[:_ID_LENGTH]}",
        manifest=data,
        wheels=wheels,
        origin=manifest.name,
        others=0,
        note=note,
    )

    def fill(folder: Path) -> str:
        put_wheels(delivery, folder)
        atomic.write(folder / SUMS, sums({**manifest.digests(), MANIFEST: delivery.sha256}))
        for path in (folder / MANIFEST, folder / SUMS):
            path.chmod(path.stat().st_mode & ~0o222)
        return ""

    def is_current(place: Path) -> bool:
        try:
            verify(place)
        except (WheelhouseError, FileNotFoundError):  # Somebody may be removing it.
            return False
        return ensure_logged(delivery)

    with sharing(destination.path):
        return deliver(delivery, is_current=is_current, fill=fill, report=report)


def _warn_of_sources(source: Path, report: Report) -> None:
    """Report a warning if there are source distributions below the folder `source`."""
    skipped = [
        path.name for path in source.rglob("*") if _SDIST.fullmatch(path.name) and path.is_file()
    ]
    if skipped:
        text = f"{counted(len(skipped), 'source distribution')} left out, such as {min(skipped)}"
        report(
            Progress(
                kind="warning",
                text=f"{text}\nhint: build wheels of them with `pip wheel`, and publish these",
            )
        )


def _files(paths: Sequence[Path]) -> dict[File, Path]:
    """Return the paths of wheels as files of a manifest. Raises `CombinedError` if two have the same name."""
    by_name: dict[str, Path] = {}
    errors = []
    for path in paths:
        other = by_name.setdefault(path.name, path)
        if other is not path:
            errors.append(
                BundlerError(f"{other} and {path} have the same name", hint="keep the genuine one")
            )
    if errors:
        raise CombinedError(errors)
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = list(pool.map(files.sha256, paths))
    wheels = {}
    for path, digest in zip(paths, digests, strict=True):
        wheels[File(path=f"{WHEELS}{path.name}", size=path.stat().st_size, sha256=digest)] = path
    return wheels


def _name(text: str) -> str:
    """Return `text` as the name of a bundle."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-_")[:80] or "wheels"
