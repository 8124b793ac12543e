"""Publish a bundle: complete, immutable, and named after its content."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from bundler.bundles.readme import readme
from bundler.bundles.verify import verify
from bundler.errors import BundlerError, DamagedError
from bundler.layout import COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, README, SUMS, sums
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress
from bundler.publications.execution import archive_path, collector, describe, render, to_json
from bundler.publications.strategy import INDEX, Draft
from bundler.units import counted
from wheelhouse import atomic, files, store
from wheelhouse.errors import WheelhouseError
from wheelhouse.space import require_space
from wheelhouse.unpack import require_interpreter
from wheelhouse.wheel import parse_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from bundler.manifest import Manifest, TargetEntry
    from bundler.publications.strategy import Strategy
    from wheelhouse.store import Store

_ID_LENGTH = 12


def bundles_in(folder: Path) -> list[Path]:
    """Return the only bundle in `folder`. Raises `BundlerError` if there is none or several."""
    with files.explained(folder):
        bundles = [path for path in folder.iterdir() if path.suffix == ".bundle" and (path / MANIFEST).is_file()]
    if len(bundles) != 1:
        names = sorted(path.name for path in bundles)
        raise BundlerError(
            f"{folder.absolute()} contains {f'{len(bundles)} bundles' if bundles else 'no bundle'}",
            facts=names,
            hint="name the bundles to publish" if bundles else "create one with `bundle SCRIPT`, or name one",
        )
    return bundles


def require_bundle(path: Path) -> None:
    """Raise `BundlerError` or `ManifestError` unless `path` looks like a bundle."""
    read_manifest(path, "bundle")


def publish(
    bundle: Path, destination: Store, seen_at: str, strategy: Strategy = INDEX
) -> Generator[Progress, None, Path]:
    """Verify `bundle`, publish it to the store `destination`, and return the folder of the publication.

    `seen_at` is the path of the store on the nodes. Publishing again changes nothing. Raises the errors of `verify`, of
    `store.add`, of `require` and `pack` of the strategy, and `ArchiveError` and `FileError`.
    """
    yield Progress(text=f"Verifying {bundle.name}")
    manifest = verify(bundle)
    draft = Draft(bundle=bundle, manifest=manifest, store=destination, seen_at=seen_at)
    strategy.require(draft)
    _require_interpreters(bundle, manifest)
    if not strategy.has_base:
        return (yield from _publish(draft, strategy))
    base = yield from _publish(draft, INDEX, is_base=True)
    return (yield from _publish(draft, strategy, base))


def _publish(
    draft: Draft, strategy: Strategy, base: Path | None = None, *, is_base: bool = False
) -> Generator[Progress, None, Path]:
    """Publish with `strategy`, with archives made from the publication `base`, or as such a base itself."""
    manifest = draft.manifest
    place = draft.store.publications / _name(draft, strategy, is_base=is_base)
    if _is_whole(place):
        # This restores index pages that were lost.
        projects = {parse_filename(wheel.path.removeprefix("wheels/"))[0] for wheel in draft.wheels}
        store.write_pages(draft.store, projects)
        yield Progress(kind="note", text=f"{place.name} is already published")
        return place
    stored = yield from _store_wheels(draft)
    with atomic.building(place, replace=place.exists()) as folder, files.explained(place):
        # uv considers a cached wheel outdated if its change time differs, and every new hard link to a file changes
        # that time.
        _copy(draft.bundle, manifest, stored, folder, files.copy if is_base else files.link)
        archives: dict[str, str] = {}
        for target, script in _pairs(manifest) if strategy.has_archives else []:
            yield Progress(text=f"Packing the {strategy.name} of {script} for {target.name}")
            path = archive_path(script, target)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            strategy.pack(base or folder, script, target, folder / path)
            archives[path] = files.sha256(folder / path)
        seen = _join(draft.seen_at, "publications", place.name)
        described = describe(manifest, seen, strategy.name, archives, str(base or seen))
        atomic.write(folder / README, readme(manifest, published=True))
        atomic.write(folder / EXEC_SCRIPT, render(described))
        atomic.write(folder / PUBLICATION, to_json(described))
        atomic.write(folder / COLLECTOR, collector())
        _seal(folder, manifest, archives)
    if not place.stat().st_mode & stat.S_IXOTH:
        yield Progress(
            kind="warning",
            text=f"{place.name} is not readable by other users (because of your umask); nodes may not be able to read "
            f"it\nhint: set `umask 022` and publish again",
        )
    return place


def _name(draft: Draft, strategy: Strategy, *, is_base: bool) -> str:
    """Return the name of a publication, which depends on its content."""
    # The execution script contains the path, so the same bundle at two paths makes two publications.
    identity = (draft.bundle / MANIFEST).read_bytes()
    identity += render(describe(draft.manifest, draft.seen_at, strategy.name))
    kind = "-base" if is_base else ""
    return f"{draft.manifest.name}{kind}-{hashlib.sha256(identity).hexdigest()[:_ID_LENGTH]}"


def _store_wheels(draft: Draft) -> Generator[Progress, None, list[Path]]:
    """Add the wheels of the bundle to the store; return their paths there. Raises the errors of `store.add`."""
    wheels = draft.wheels
    absent = [file for file in wheels if not draft.store.file(file.path.partition("/")[2], file.sha256).exists()]
    others = [file for file in draft.manifest.files if not file.path.startswith("wheels/")]
    require_space({draft.store.path: sum(file.size for file in [*absent, *others])})
    stored: list[Path] = []
    total, done = sum(wheel.size for wheel in wheels), 0
    for wheel in store.add(draft.store, [(draft.bundle / file.path, file.sha256) for file in wheels]):
        done += wheels[len(stored)].size
        stored.append(wheel)
        yield Progress(text=f"Publishing {counted(len(wheels), 'wheel')}", done=done, total=total)
    return stored


def _require_interpreters(bundle: Path, manifest: Manifest) -> None:
    """Raise `ArchiveError` for an interpreter that nodes could not unpack."""
    for path, windows in {(target.interpreter, target.system == "Windows") for target in manifest.targets}:
        if path is not None:
            require_interpreter(bundle / path, windows=windows)


def _pairs(manifest: Manifest) -> list[tuple[TargetEntry, str]]:
    return [(target, script.name) for target in manifest.targets for script in manifest.scripts]


def _copy(
    bundle: Path, manifest: Manifest, wheels: Sequence[Path], folder: Path, put: Callable[[Path, Path], None]
) -> None:
    """Copy the files of `bundle` to `folder`, and its wheels from the store with `put`."""
    (folder / "wheels").mkdir()
    for wheel in wheels:
        put(wheel, folder / "wheels" / wheel.name)
    for path in [*(file.path for file in manifest.files if not file.path.startswith("wheels/")), MANIFEST]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle / path, folder / path)


def _seal(folder: Path, manifest: Manifest, archives: Mapping[str, str]) -> None:
    """Write SHA256SUMS, verify all copies in case the bundle was changed meanwhile, and make them read-only."""
    digests = {file.path: file.sha256 for file in manifest.files} | dict(archives)
    on_top = (EXEC_SCRIPT, PUBLICATION, COLLECTOR, README, MANIFEST)
    digests |= {name: files.sha256(folder / name) for name in on_top}
    atomic.write(folder / SUMS, sums(digests))
    verify(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(file.stat().st_mode & ~0o222)


def _join(folder: str, *names: str) -> str:
    """Join path components with the separator of `folder`, which may be a path on another system."""
    windows = "\\" in folder or re.match(r"[A-Za-z]:", folder)
    return str((PureWindowsPath if windows else PurePosixPath)(folder, *names))


def _is_whole(place: Path) -> bool:
    try:
        verify(place)
    except DamagedError as damage:
        # Files that somebody added there are no reason to replace the published ones.
        return all(kind == "foreign" for kind, _ in damage.rows) and (place / EXEC_SCRIPT).is_file()
    except WheelhouseError:
        return False
    return (place / EXEC_SCRIPT).is_file()
