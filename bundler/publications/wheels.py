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
from bundler.layout import MANIFEST, SUMS, sums
from bundler.manifest import SHARED_FOLDERS, File, Manifest
from bundler.progress import Progress, Report
from bundler.publications.approval import require_unsigned
from bundler.publications.history import is_logged, log
from bundler.units import counted
from wheelhouse import adding, atomic, files, wheel
from wheelhouse.errors import ArchiveError, FileError, StoreError, WheelhouseError
from wheelhouse.members import DAMAGED
from wheelhouse.sharing import sharing
from wheelhouse.space import require_space
from wheelhouse.store import Store

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


def publish_wheels(source: Path, destination: Store, note: str = "", name: str = "", *, report: Report) -> Path:
    """Add all wheels below the folder `source` to the store `destination`; return the publication that lists them.

    `name` replaces the name of the folder in that of the publication. Publishing again restores missing and
    damaged files. Raises `CombinedError` for equal names, and the errors of `adding.add`.
    """
    paths = sorted(path for path in source.rglob("*.whl") if path.is_file())
    skipped = [path.name for path in source.rglob("*") if _SDIST.fullmatch(path.name) and path.is_file()]
    if skipped:
        text = f"{counted(len(skipped), 'source distribution')} left out, such as {min(skipped)}"
        report(Progress(kind="warning", text=f"{text}\nhint: build wheels of them with `pip wheel`, and publish these"))
    require_unsigned(destination)
    report(Progress(text=f"Reading {counted(len(paths), 'wheel')}"))
    name = _name(name or source.absolute().name)
    # Without scripts, all formats are alike, and the same wheels keep the name of their publication.
    manifest = Manifest(name=name, scripts=(), targets=(), files=_files(paths), format=SHARED_FOLDERS)
    data = manifest.to_json()
    place = destination.publications / f"{manifest.name}-{hashlib.sha256(data).hexdigest()[:_ID_LENGTH]}"
    digests = {file.path.removeprefix("wheels/"): file.sha256 for file in manifest.files}
    wheels = [(path, digests[path.name]) for path in paths]
    digest = hashlib.sha256(data).hexdigest()
    with sharing(destination.path):
        is_there = place.exists()
        if is_there and _is_whole(place):
            restored = _add(destination, wheels, None, manifest.name, report=report)
            if not is_logged(destination, place.name):  # Its publisher was killed before that.
                log(destination, "publish", place.name, sha256=digest, note=note)
            if restored:
                log(destination, "repair", place.name, detail=f"restored {counted(restored, 'wheel')}", note=note)
            report(Progress(kind="note", text=f"{place.name} is already published"))
            return place
        require_space({destination.path: sum(file.size for file in manifest.files)})
        with atomic.building(place, scratch=destination.scratch) as folder, files.explained(place):
            # First, since it announces the wheels to processes that remove files right now.
            atomic.write(folder / MANIFEST, data)
            _add(destination, wheels, folder / "wheels", manifest.name, report=report)
            atomic.write(
                folder / SUMS,
                sums({**{f"wheels/{name}": sha256 for name, sha256 in digests.items()}, MANIFEST: digest}),
            )
            for path in (folder / MANIFEST, folder / SUMS):
                path.chmod(path.stat().st_mode & ~0o222)
        if not all(adding.is_complete(destination, *file) for file in digests.items()):
            _add(destination, wheels, None, manifest.name, report=report)  # Somebody has removed some meanwhile.
        log(destination, "repair" if is_there else "publish", place.name, sha256=digest, note=note)
    return place


def _is_whole(place: Path) -> bool:
    try:
        verify(place)
    except (WheelhouseError, FileNotFoundError):  # Somebody may be removing it.
        return False
    return True


def _files(paths: Sequence[Path]) -> tuple[File, ...]:
    """Return the wheels `paths` as files of a manifest. Raises `CombinedError` if two have the same name."""
    by_name: dict[str, Path] = {}
    twice = [(by_name[path.name], path) for path in paths if by_name.setdefault(path.name, path) is not path]
    if twice:
        raise CombinedError(
            BundlerError(f"{one} and {other} have the same name", hint="keep the genuine one") for one, other in twice
        )
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = list(pool.map(files.sha256, paths))
    return tuple(
        File(path=f"wheels/{path.name}", size=path.stat().st_size, sha256=digest)
        for path, digest in zip(paths, digests, strict=True)
    )


def _add(
    destination: Store, wheels: Sequence[tuple[Path, str]], links: Path | None, origin: str, *, report: Report
) -> int:
    """Add `wheels` to the store, and links to them to the folder `links`; return how many of them were not there."""
    if links is not None:
        links.mkdir()
    errors: list[StoreError] = []
    done = restored = 0
    total = sum(path.stat().st_size for path, _ in wheels)
    added = adding.add(destination, wheels, origin, errors.append)
    for (source, _), (path, is_new) in zip(wheels, added, strict=True):
        if links is not None:
            _link(source, path, links / path.name)
        done, restored = done + path.stat().st_size, restored + is_new
        report(Progress(text=f"Publishing {counted(len(wheels), 'wheel')}", done=done, total=total))
    for error in errors:
        report(Progress(kind="warning", text=str(error)))
    return restored


def _link(source: Path, stored: Path, path: Path) -> None:
    """Create the link `path` to the file `stored`; copy `source` if somebody has just removed that."""
    try:
        files.link(stored, path)
    except FileError as error:
        if not isinstance(error.error, FileNotFoundError):
            raise
        files.copy(source, path)


def _name(text: str) -> str:
    """Return `text` as the name of a bundle."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-_")[:80] or "wheels"
