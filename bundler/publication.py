"""A publication: a bundle in its final place on the share, whole, immutable, named after its content."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from bundler import manifest as manifests
from bundler.errors import BundlerError, NoBundle
from bundler.execution import render
from bundler.progress import Progress
from bundler.verify import EXEC_SCRIPT, read_manifest, verify
from wheelhouse import files, store
from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Generator

    from wheelhouse.store import Store

_ID_LENGTH = 12


def bundles_in(folder: Path) -> list[Path]:
    """Return the one bundle in `folder`; raise `NoBundle` where there is none or more."""
    with files.explained(folder):
        found = [path for path in folder.iterdir() if path.suffix == ".bundle" and (path / manifests.NAME).is_file()]
    if len(found) != 1:
        raise NoBundle(folder.absolute(), found)
    return found


def require_bundle(path: Path) -> None:
    """Raise `NotABundle`, `ManifestFault` or `NewerFormat` unless `path` is a bundle by its looks."""
    read_manifest(path, "bundle")


def publish(bundle: Path, destination: Store, seen_at: str) -> Generator[Progress, None, Path]:
    """Verify `bundle`, publish it into the store `destination`, and return the publication's folder in the end.

    `seen_at` is the folder of the store as evaluators see it. Publishing what is published changes nothing.
    Raises what `verify` and `store.add` raise, and `FileFault`.
    """
    yield Progress(text=f"Verifying {bundle}")
    manifest = verify(bundle)
    # The execution script holds the path, so the same bundle seen at two places makes two publications.
    identity = (bundle / manifests.NAME).read_bytes() + render(manifest, seen_at)
    name = f"{manifest.name}-{hashlib.sha256(identity).hexdigest()[:_ID_LENGTH]}"
    place = destination.publications / name
    execution = render(manifest, _join(seen_at, "publications", name))
    if _is_whole(place):
        yield Progress(text=f"{name} is published already; nothing to do")
        return place
    wheels = [file for file in manifest.files if file.path.startswith("wheels/")]
    stored: list[Path] = []
    total, done = sum(wheel.size for wheel in wheels), 0
    for wheel in store.add(destination, [(bundle / file.path, file.sha256) for file in wheels]):
        done += wheels[len(stored)].size
        stored.append(wheel)
        yield Progress(text=f"Publishing {len(wheels)} wheels", done=done, total=total)
    with files.building(place, replace=place.exists()) as folder, files.explained(place):
        (folder / "wheels").mkdir()
        for wheel in stored:
            files.link(wheel, folder / "wheels" / wheel.name)
        digests = {file.path: file.sha256 for file in manifest.files}
        for path in [*(path for path in digests if not path.startswith("wheels/")), manifests.NAME]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / path, folder / path)
        files.write(folder / EXEC_SCRIPT, execution)
        digests |= {
            EXEC_SCRIPT: hashlib.sha256(execution).hexdigest(),
            manifests.NAME: files.sha256(folder / manifests.NAME),
        }
        files.write(folder / manifests.SUMS, manifests.sums(digests))
        verify(folder)  # also what was copied, in case the bundle changed under our hands
        for file in folder.rglob("*"):
            if file.is_file():
                file.chmod(file.stat().st_mode & ~0o222)
    if not place.stat().st_mode & stat.S_IXOTH:
        yield Progress(
            text=f"warning: {name} is closed to other users (your umask); evaluators may not be able to read it"
        )
    return place


def _join(folder: str, *names: str) -> str:
    """Join in the manner of `folder`, which may be a path of another system than this one."""
    windows = "\\" in folder or re.match(r"[A-Za-z]:", folder)
    return str((PureWindowsPath if windows else PurePosixPath)(folder, *names))


def _is_whole(place: Path) -> bool:
    try:
        verify(place)
    except (BundlerError, WheelhouseError):
        return False
    return (place / EXEC_SCRIPT).is_file()
