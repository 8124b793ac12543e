"""Read archives of bundles: as a stream, verified on the way, and visible only when everything is complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bundler.bundles import parts
from bundler.bundles.archive import sums_of, top_of
from bundler.bundles.consistency import require_consistent
from bundler.bundles.members import read_small, reading, split
from bundler.errors import BundlerError
from bundler.layout import DELTA, MANIFEST, SUMS
from bundler.manifest_reader import parse
from bundler.progress import Progress
from bundler.units import counted
from wheelhouse import files
from wheelhouse.errors import ArchiveError

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Generator, Iterator, Mapping

    from bundler.manifest import Manifest

_CHUNK = 1 << 20
# Missing files that are listed.
_SHOWN = 10


@dataclass(slots=True)
class _Arrival:
    """A bundle that is being unpacked to `folder`: `missing` are the (size, digest) of files by path.

    `left_out` are the digests of files that a delta leaves out, by path.
    """

    manifest: Manifest
    folder: Path
    missing: dict[str, tuple[int, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def _no_base() -> dict[str, Path]:
    return {}


def unpack(
    source: IO[bytes], name: Path, folder: Path, base: Callable[[], Mapping[str, Path]] = _no_base
) -> Generator[Progress, None, list[Path]]:
    """Unpack the archive `source`, called `name` in messages, to bundles in `folder`; return their paths.

    `base` returns files by digest, from which a delta takes what it leaves out. Every byte is verified while it is
    read, and no bundle is visible before all of them are complete. Raises `ArchiveError` for an archive that is
    damaged, incomplete or not one of ours, `BundlerError` if a bundle exists or a file of the base is missing.
    """
    created = not folder.exists()
    try:
        return (yield from _unpack(source, name, folder, base))
    except BaseException:
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _unpack(
    source: IO[bytes], name: Path, folder: Path, base: Callable[[], Mapping[str, Path]]
) -> Generator[Progress, None, list[Path]]:
    arrivals: dict[str, _Arrival] = {}
    done = total = 0
    with contextlib.ExitStack() as stack:
        with reading(source, name) as archive:
            for member in archive:
                top, path = split(member, name)
                if path == MANIFEST and top not in arrivals:
                    arrivals[top] = _begin(archive, member, name, folder, stack)
                    total += sum(file.size for file in arrivals[top].manifest.files)
                elif path == DELTA and top in arrivals:
                    total -= _leave_out(archive, member, name, arrivals[top], base())
                else:
                    _receive(archive, member, arrivals.get(top), path, name)
                    done += member.size
                    yield Progress(text=f"Unpacking {name}", done=min(done, total), total=total)
        _require_complete(arrivals, name)
        for arrival in arrivals.values():
            yield from _complete(arrival, base())
            require_consistent(arrival.folder, arrival.manifest)
    return [folder / top for top in arrivals]


def _begin(
    archive: tarfile.TarFile, member: tarfile.TarInfo, name: Path, folder: Path, stack: contextlib.ExitStack
) -> _Arrival:
    """Read the manifest `member` and return its bundle, whose folder `stack` renames at the end."""
    data = read_small(archive, member, name)
    manifest = parse(data, name / MANIFEST)
    if member.name != f"{top_of(manifest)}/{MANIFEST}":
        raise ArchiveError(name, f"contains the manifest of {manifest.name} as {member.name!r}")
    target = folder / top_of(manifest)
    if target.exists():
        raise BundlerError(f"{target} already exists", hint="delete it, or unpack to another folder with --output")
    arrival = _Arrival(manifest=manifest, folder=stack.enter_context(files.building(target, replace=False)))
    with files.explained(arrival.folder):
        (arrival.folder / MANIFEST).write_bytes(data)
    expected = sums_of(data, manifest)
    arrival.missing[SUMS] = (len(expected), hashlib.sha256(expected).hexdigest())
    arrival.missing |= {file.path: (file.size, file.sha256) for file in manifest.files}
    return arrival


def _receive(
    archive: tarfile.TarFile, member: tarfile.TarInfo, arrival: _Arrival | None, path: str, name: Path
) -> None:
    """Write the file `member` to its bundle. Raises `ArchiveError` unless it is exactly what the manifest lists."""
    if arrival is None:
        raise ArchiveError(name, f"contains {member.name!r} before the manifest of its bundle")
    if path not in arrival.missing:
        raise ArchiveError(name, f"contains {member.name!r}, which the manifest does not list, or twice")
    size, sha256 = arrival.missing.pop(path)
    if member.size != size:
        raise ArchiveError(name, f"contains {member.name!r} with {member.size} bytes instead of {size}")
    content, digest, target = archive.extractfile(member), hashlib.sha256(), arrival.folder / path
    with files.explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while content and (chunk := content.read(_CHUNK)):
                digest.update(chunk)
                out.write(chunk)
    if digest.hexdigest() != sha256:
        raise ArchiveError(name, f"contains a damaged {member.name!r}", "copy it again")


def _leave_out(
    archive: tarfile.TarFile, member: tarfile.TarInfo, name: Path, arrival: _Arrival, base: Mapping[str, Path]
) -> int:
    """Read the list of files that a delta leaves out; return their size in bytes.

    Raises `ArchiveError` unless all of them are in `base`.
    """
    try:
        paths = json.loads(read_small(archive, member, name))["left_out"]
        taken = {path: arrival.missing.pop(path) for path in paths}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArchiveError(name, f"contains a {DELTA} that does not match its manifest", "copy it again") from None
    arrival.left_out |= {path: sha256 for path, (_, sha256) in taken.items()}
    absent = sorted(path for path, sha256 in arrival.left_out.items() if sha256 not in base)
    if absent:
        fact = f"its base lacks {counted(len(absent), 'file')}" if base else "it needs a base"
        more = [f"and {len(absent) - _SHOWN} more"] if len(absent) > _SHOWN else []
        hint = "name the bundle, publication or store that has them with --base, or carry the whole bundle"
        error = ArchiveError(name, f"is a delta, and {fact}", hint)
        error.facts = [*(f"{arrival.left_out[path][:12]}  {path}" for path in absent[:_SHOWN]), *more]
        raise error
    return sum(size for size, _ in taken.values())


def _complete(arrival: _Arrival, base: Mapping[str, Path]) -> Iterator[Progress]:
    """Copy what a delta left out from `base`. Raises `ArchiveError` for a file that was changed there."""
    sizes = {file.path: file.size for file in arrival.manifest.files}
    total, done = sum(sizes[path] for path in arrival.left_out), 0
    for path, sha256 in arrival.left_out.items():
        target = arrival.folder / path
        with files.explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        if files.copy_hashed(base[sha256], target) != sha256:
            raise ArchiveError(base[sha256], "was changed, so the delta cannot be completed", "repair or replace it")
        done += sizes[path]
        yield Progress(text=f"Copying {counted(len(arrival.left_out), 'file')} from the base", done=done, total=total)


def _require_complete(arrivals: dict[str, _Arrival], name: Path) -> None:
    missing = sorted(f"{top}/{path}" for top, arrival in arrivals.items() for path in arrival.missing)
    if not arrivals:
        raise ArchiveError(name, "is not an archive of bundles", "pack bundles with `bundler pack`")
    if missing:
        more = [f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
        error = ArchiveError(name, f"is incomplete: {counted(len(missing), 'file')} missing", "copy it again")
        error.facts = [*missing[:_SHOWN], *more]
        raise error


@contextlib.contextmanager
def unpacked(
    path: Path,
    report: Callable[[Progress], None],
    base: Callable[[], Mapping[str, Path]] = _no_base,
    within: Path | None = None,
) -> Iterator[list[Path]]:
    """Yield the bundle or publication `path`, or the bundles in the archive `path`, unpacked for the block.

    They are unpacked to a hidden folder in `within`, or to the folder for temporary files. Raises the errors of
    `unpack` and `parts.opened`.
    """
    if not parts.is_archive(path):
        yield [path]
        return
    with contextlib.ExitStack() as stack:
        if within is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unpacked-")))
        else:
            folder = stack.enter_context(_scratch(within / path.name))
        bundles: list[Path] = []
        with parts.opened([path]) as source:
            work = unpack(source, path, folder, base)
            while True:
                try:
                    report(next(work))
                except StopIteration as stop:
                    bundles = stop.value
                    break
        yield bundles


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Yield a hidden folder next to `path`, which is deleted at the end, or a day after the process was killed."""
    folder = files.beside(path)
    with files.explained(folder):
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
