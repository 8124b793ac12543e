"""Read archives of bundles: as a stream, verified on the way, and visible only when everything is complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bundler.bundle_folder import Bundle
from bundler.bundles import parts
from bundler.bundles.archive import sums_of, top_of
from bundler.bundles.archive_reader import read_small, reading, split
from bundler.bundles.consistency import require_consistent
from bundler.errors import BundlerError
from bundler.layout import DELTA, MANIFEST, SUMS, is_attached
from bundler.manifest import File, Manifest
from bundler.manifest_reader import MANIFEST_LIMIT, parse
from bundler.progress import Progress, Report
from bundler.units import counted
from wheelhouse import atomic, files
from wheelhouse.errors import ArchiveError, FileError, WheelhouseError

_CHUNK = 1 << 20
# Missing files that are listed.
_SHOWN = 10


@dataclass(slots=True)
class _Arrival:
    """A bundle that is being unpacked to `folder`; `data` are the bytes of its manifest.

    `missing` are the (size, digest) of files by path, `left_out` the files that a delta leaves out.
    """

    manifest: Manifest
    data: bytes
    folder: Path
    missing: dict[str, tuple[int, str]] = field(default_factory=dict)
    left_out: list[File] = field(default_factory=list)


def _no_base() -> dict[str, list[Path]]:
    return {}


def unpack(
    source: IO[bytes],
    name: Path,
    folder: Path,
    base: Callable[[], Mapping[str, Sequence[Path]]] = _no_base,
    *,
    report: Report,
) -> list[Path]:
    """Unpack the archive `source`, called `name` in messages, to bundles in `folder`; return their paths.

    `base` returns files by digest, from which a delta takes what it leaves out. Every byte is verified while it is
    read, and no bundle is visible before all of them are complete. Raises `ArchiveError` for an archive that is
    damaged, incomplete or not one of ours, `BundlerError` if a bundle exists or a file of the base is missing.
    """
    created = not folder.exists()
    try:
        return _unpack(source, name, folder, base, report=report)
    except BaseException:
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _unpack(
    source: IO[bytes],
    name: Path,
    folder: Path,
    base: Callable[[], Mapping[str, Sequence[Path]]],
    *,
    report: Report,
) -> list[Path]:
    with contextlib.ExitStack() as stack:
        arrivals = _receive_all(source, name, folder, base, stack, report)
        parts.require_rest(source)
        _require_complete(arrivals, name)
        for arrival in arrivals.values():
            if arrival.left_out:
                _complete(arrival, base(), report=report)
            require_consistent(Bundle(folder=arrival.folder, manifest=arrival.manifest))
    for top, arrival in arrivals.items():
        # Another run may have been faster; its bundle was kept.
        if files.read_plain(folder / top / MANIFEST, MANIFEST_LIMIT) != arrival.data:
            raise _exists(folder / top)
    return [folder / top for top in arrivals]


def _receive_all(
    source: IO[bytes],
    name: Path,
    folder: Path,
    base: Callable[[], Mapping[str, Sequence[Path]]],
    stack: contextlib.ExitStack,
    report: Report,
) -> dict[str, _Arrival]:
    """Read the archive to its end; return its bundles by their names in it. `stack` makes them visible at its end."""
    arrivals: dict[str, _Arrival] = {}
    done = total = 0
    with reading(source, name) as archive:
        for member in archive:
            top, path = split(member, name)
            arrival = arrivals.get(top)
            if arrival is None and path == MANIFEST:
                arrivals[top] = _begin(archive, member, name, folder, stack)
                total += arrivals[top].manifest.size
            elif arrival is not None and path == DELTA:
                left_out = _leave_out(archive, member, name, arrival)
                _require_base(name, left_out, base())
                total -= sum(file.size for file in left_out)
            elif arrival is not None and is_attached(path):
                _attach(archive, member, arrival.folder / path, name)
            else:
                _receive(archive, member, arrival, path, name)
                done += member.size
                report(Progress(text=f"Unpacking {name}", done=min(done, total), total=total))
    return arrivals


def _exists(path: Path) -> BundlerError:
    return BundlerError(
        f"{path} already exists", hint="delete it, or unpack to another folder with --output"
    )


def _begin(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    name: Path,
    folder: Path,
    stack: contextlib.ExitStack,
) -> _Arrival:
    """Read the manifest `member` and return its bundle, whose folder `stack` renames at the end."""
    data = read_small(archive, member, name)
    manifest = parse(data, name / MANIFEST)
    if member.name != f"{top_of(manifest)}/{MANIFEST}":
        raise ArchiveError(name, f"contains the manifest of {manifest.name} as {member.name!r}")
    target = folder / top_of(manifest)
    if target.exists():
        raise _exists(target)
    building = stack.enter_context(atomic.building(target, replace=False))
    arrival = _Arrival(manifest=manifest, data=data, folder=building)
    with files.explained(arrival.folder):
        (arrival.folder / MANIFEST).write_bytes(data)
    expected = sums_of(data, manifest)
    arrival.missing[SUMS] = (len(expected), hashlib.sha256(expected).hexdigest())
    arrival.missing |= {file.path: (file.size, file.sha256) for file in manifest.files}
    return arrival


def _attach(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, name: Path) -> None:
    """Write the signature or the like `member` to `path`, unchecked. Raises `ArchiveError` if it is there already."""
    data = read_small(archive, member, name)
    with files.explained(path):
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            raise ArchiveError(name, f"contains {member.name!r} twice")
        path.write_bytes(data)


def _receive(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    arrival: _Arrival | None,
    path: str,
    name: Path,
) -> None:
    """Write the file `member` to its bundle. Raises `ArchiveError` unless it is exactly what the manifest lists."""
    if arrival is None:
        raise ArchiveError(name, f"contains {member.name!r} before the manifest of its bundle")
    if path not in arrival.missing:
        raise ArchiveError(
            name, f"contains {member.name!r}, which the manifest does not list, or twice"
        )
    size, sha256 = arrival.missing.pop(path)
    if member.size != size:
        raise ArchiveError(
            name, f"contains {member.name!r} with {member.size} bytes instead of {size}"
        )
    content, digest, target = archive.extractfile(member), hashlib.sha256(), arrival.folder / path
    with files.explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while content and (chunk := content.read(_CHUNK)):
                digest.update(chunk)
                out.write(chunk)
    if digest.hexdigest() != sha256:
        raise ArchiveError(name, f"{member.name!r} is damaged", "copy it again")


def _leave_out(
    archive: tarfile.TarFile, member: tarfile.TarInfo, name: Path, arrival: _Arrival
) -> list[File]:
    """Read the list of files that a delta leaves out, and return them. Raises `ArchiveError` for a malformed list."""
    listed = {file.path: file for file in arrival.manifest.files}
    try:
        paths = json.loads(read_small(archive, member, name))["left_out"]
        arrival.left_out = [listed[path] for path in paths if arrival.missing.pop(path)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArchiveError(
            name, f"contains a {DELTA} that does not match its manifest", "copy it again"
        ) from None
    return arrival.left_out


def _require_base(name: Path, left_out: Sequence[File], base: Mapping[str, Sequence[Path]]) -> None:
    """Raise `BundlerError` unless `base` has all files that the delta `name` leaves out."""
    absent = sorted((file.path, file.sha256) for file in left_out if file.sha256 not in base)
    if absent:
        fact = f"its base lacks {counted(len(absent), 'file')}" if base else "it needs a base"
        more = [f"and {len(absent) - _SHOWN} more"] if len(absent) > _SHOWN else []
        raise BundlerError(
            f"{name}: is a delta, and {fact}",
            facts=[*(f"{sha256[:12]}  {path}" for path, sha256 in absent[:_SHOWN]), *more],
            hint="name a bundle, publication or store that has these files with --base, or carry the whole bundle",
        )


def _complete(arrival: _Arrival, base: Mapping[str, Sequence[Path]], *, report: Report) -> None:
    """Copy what a delta left out from `base`. Raises `BundlerError` for a file that was changed everywhere there."""
    total, done = sum(file.size for file in arrival.left_out), 0
    for file in arrival.left_out:
        sources, target = base[file.sha256], arrival.folder / file.path
        with files.explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        errors: list[WheelhouseError] = []
        while (
            len(errors) < len(sources)
            and (error := _copy(sources[len(errors)], target, file)) is not None
        ):
            errors.append(error)
        if len(errors) == len(sources):
            raise errors[0]
        done += file.size
        report(
            Progress(
                text=f"Copying {counted(len(arrival.left_out), 'file')} from the base",
                done=done,
                total=total,
            )
        )


def _copy(source: Path, target: Path, file: File) -> WheelhouseError | None:
    """Copy `source` to `target`; if it is not the `file`, return the error, and leave nothing there."""
    try:
        if files.copy_plain(source, target, file.size) == file.sha256:
            return None
        problem: WheelhouseError = BundlerError(
            f"{source}: was changed, so the delta cannot be completed",
            hint="repair it, or name another --base",
        )
    except FileError as error:
        problem = error
    target.unlink(missing_ok=True)
    return problem


def _require_complete(arrivals: dict[str, _Arrival], name: Path) -> None:
    missing = sorted(
        f"{top}/{path}" for top, arrival in arrivals.items() for path in arrival.missing
    )
    if not arrivals:
        raise ArchiveError(name, "is not an archive of bundles", "pack bundles with `bundler pack`")
    if missing:
        more = [f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
        error = ArchiveError(
            name, f"is incomplete: {counted(len(missing), 'file')} missing", "copy it again"
        )
        error.facts = [*missing[:_SHOWN], *more]
        raise error
