"""A publication: a bundle in its final place on the share, whole, immutable, named after its content."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from bundler.bundle.readme import readme
from bundler.bundle.verify import verify
from bundler.errors import BundlerError, Damaged, NeedsInterpreter, NoBundle, SeenElsewhere
from bundler.layout import COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, README, SUMS, sums
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress
from bundler.publish.execution import archive_path, collector, describe, render, to_json
from wheelhouse import files, store
from wheelhouse.errors import WheelhouseError
from wheelhouse.space import require_space
from wheelhouse.unpack import require_interpreter
from wheelhouse.wheel import parse_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from bundler.manifest import Manifest, TargetEntry
    from wheelhouse.store import Store

_ID_LENGTH = 12
# The publication that a filled cache is filled from. Its wheels are copies, since uv tells by the time of the last
# change of a file whether its cache still holds, and every further link to a file changes that time.
_BASE = "base"


def bundles_in(folder: Path) -> list[Path]:
    """Return the one bundle in `folder`; raise `NoBundle` where there is none or more."""
    with files.explained(folder):
        found = [path for path in folder.iterdir() if path.suffix == ".bundle" and (path / MANIFEST).is_file()]
    if len(found) != 1:
        raise NoBundle(folder.absolute(), found)
    return found


def require_bundle(path: Path) -> None:
    """Raise `NotABundle`, `ManifestFault` or `NewerFormat` unless `path` is a bundle by its looks."""
    read_manifest(path, "bundle")


def publish(bundle: Path, destination: Store, seen_at: str, strategy: str = "index") -> Generator[Progress, None, Path]:
    """Verify `bundle`, publish it into the store `destination`, and return the publication's folder in the end.

    `seen_at` is the folder of the store as evaluators see it, `strategy` index, cache or environment. Publishing what
    is published changes nothing. Raises what `verify`, `store.add` and the making of archives raise, and `FileFault`.
    """
    yield Progress(text=f"Verifying {bundle}")
    manifest = verify(bundle)
    base = None
    _require_interpreters(bundle, manifest, strategy)
    if strategy == "cache":
        if seen_at != str(destination.path):
            raise SeenElsewhere(destination.path, seen_at)
        base = yield from publish(bundle, destination, seen_at, _BASE)
    # The execution script holds the path, so the same bundle seen at two places makes two publications.
    identity = (bundle / MANIFEST).read_bytes() + render(describe(manifest, seen_at, strategy))
    kind = "-base" if strategy == _BASE else ""
    name = f"{manifest.name}{kind}-{hashlib.sha256(identity).hexdigest()[:_ID_LENGTH]}"
    place = destination.publications / name
    wheels = [file for file in manifest.files if file.path.startswith("wheels/")]
    if _is_whole(place):
        # A page of the index that got lost comes back.
        store.write_pages(destination, {parse_filename(wheel.path.removeprefix("wheels/"))[0] for wheel in wheels})
        yield Progress(text=f"{name} is published already; nothing to do")
        return place
    absent = [file for file in wheels if not destination.file(file.path.partition("/")[2], file.sha256).exists()]
    others = [file for file in manifest.files if not file.path.startswith("wheels/")]
    require_space({destination.path: sum(file.size for file in [*absent, *others])})
    stored: list[Path] = []
    total, done = sum(wheel.size for wheel in wheels), 0
    for wheel in store.add(destination, [(bundle / file.path, file.sha256) for file in wheels]):
        done += wheels[len(stored)].size
        stored.append(wheel)
        yield Progress(text=f"Publishing {len(wheels)} wheels", done=done, total=total)
    with files.building(place, replace=place.exists()) as folder, files.explained(place):
        _copy(bundle, manifest, stored, folder, files.copy if strategy == _BASE else files.link)
        archives: dict[str, str] = {}
        for target, script in _pairs(manifest) if strategy in ("cache", "environment") else []:
            yield Progress(text=f"Making the {strategy} of {script} for {target.name}")
            archives |= _archive(base or folder, folder, script, target, strategy)
        seen = _join(seen_at, "publications", name)
        described = describe(manifest, seen, strategy, archives, str(base or seen))
        files.write(folder / README, readme(manifest, published=True))
        files.write(folder / EXEC_SCRIPT, render(described))
        files.write(folder / PUBLICATION, to_json(described))
        files.write(folder / COLLECTOR, collector())
        _seal(folder, manifest, archives)
    if not place.stat().st_mode & stat.S_IXOTH:
        yield Progress(
            text=f"warning: {name} is closed to other users (your umask); evaluators may not be able to read it"
        )
    return place


def _require_interpreters(bundle: Path, manifest: Manifest, strategy: str) -> None:
    """Raise `BadArchive` for an interpreter that nodes could not unpack, `NeedsInterpreter` for one that is needed."""
    for target in manifest.targets:
        if strategy == "environment" and target.interpreter is None:
            raise NeedsInterpreter(bundle, target.name)
    for path, windows in {(target.interpreter, target.system == "Windows") for target in manifest.targets}:
        if path is not None:
            require_interpreter(bundle / path, windows=windows)


def _pairs(manifest: Manifest) -> list[tuple[TargetEntry, str]]:
    return [(target, script.name) for target in manifest.targets for script in manifest.scripts]


def _copy(
    bundle: Path, manifest: Manifest, wheels: Sequence[Path], folder: Path, put: Callable[[Path, Path], None]
) -> None:
    """Put the files of `bundle` into `folder`, the wheels from the store by `put`."""
    (folder / "wheels").mkdir()
    for wheel in wheels:
        put(wheel, folder / "wheels" / wheel.name)
    for path in [*(file.path for file in manifest.files if not file.path.startswith("wheels/")), MANIFEST]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle / path, folder / path)


def _seal(folder: Path, manifest: Manifest, archives: Mapping[str, str]) -> None:
    """Write SHA256SUMS, check all that was copied, in case the bundle changed under our hands, and forbid writing."""
    digests = {file.path: file.sha256 for file in manifest.files} | dict(archives)
    on_top = (EXEC_SCRIPT, PUBLICATION, COLLECTOR, README, MANIFEST)
    digests |= {name: files.sha256(folder / name) for name in on_top}
    files.write(folder / SUMS, sums(digests))
    verify(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(file.stat().st_mode & ~0o222)


def _archive(base: Path, folder: Path, script: str, target: TargetEntry, strategy: str) -> dict[str, str]:
    """Make the archive of `script` on `target` in the publication `folder`; return its digest by its path."""
    from bundler.publish.archives import pack_cache, pack_environment  # these need uv, which the far side may not have

    path = archive_path(script, target)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        pack = pack_cache if strategy == "cache" else pack_environment
        pack(base, script, target, Path(scratch), folder / path)
    return {path: files.sha256(folder / path)}


def _join(folder: str, *names: str) -> str:
    """Join in the manner of `folder`, which may be a path of another system than this one."""
    windows = "\\" in folder or re.match(r"[A-Za-z]:", folder)
    return str((PureWindowsPath if windows else PurePosixPath)(folder, *names))


def _is_whole(place: Path) -> bool:
    try:
        verify(place)
    except Damaged as damage:
        # What somebody left there beside the published files is no reason to touch these.
        return all(kind == "foreign" for kind, _ in damage.rows) and (place / EXEC_SCRIPT).is_file()
    except (BundlerError, WheelhouseError):
        return False
    return (place / EXEC_SCRIPT).is_file()
