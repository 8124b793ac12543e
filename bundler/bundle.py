"""Building a bundle: from scripts and targets to one folder that can cross the gap."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import manifest as manifests
from bundler.errors import BundlerError, Faults, OutputTaken, attempt_all
from bundler.manifest import File, Manifest, ScriptEntry, TargetEntry
from bundler.progress import Progress
from bundler.readme import readme
from bundler.script import target_files
from bundler.verify import foreign_files, verify
from wheelhouse import files, lock
from wheelhouse.errors import UnusableLock, WheelhouseError, redacted
from wheelhouse.index import Link, project_page, root_page
from wheelhouse.process import workers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from bundler.script import Script
    from wheelhouse.lock import Pin, Resolution
    from wheelhouse.target import Target
    from wheelhouse.wheel import Wheel

    # By script name and target name.
    Installs = Mapping[tuple[str, str], Sequence[Pin]]

# uv calls that run at once; each is one process that waits for the network or writes one file.
_THREADS = 4
# Of the bundle in the names of publications; a script may be called anything, at any length.
_NAME_LENGTH = 60


def default_output(scripts: Sequence[Path]) -> Path:
    """Return where the bundle of `scripts` goes unless told otherwise: into this folder, named after the first."""
    return Path(f"{scripts[0].stem}.bundle")


def up_to_date(output: Path, scripts: Sequence[Script], targets: Sequence[Target]) -> bool:
    """Return whether `output` is a whole bundle of just these scripts, locks beside them, and targets.

    Its versions stand until somebody asks for newer ones, as those of a lock do.
    """
    try:
        found = verify(output)
    except (BundlerError, WheelhouseError):
        return False
    wanted = [script_entry(script) for script in scripts]
    return list(found.scripts) == wanted and [target.name for target in found.targets] == [
        each.name for each in targets
    ]


def build(
    scripts: Sequence[Script], targets: Sequence[Target], output: Path, cache: Path
) -> Generator[Progress, None, None]:
    """Resolve `scripts` for `targets`, download the wheels through `cache` and write the bundle to `output`.

    Raises `OutputTaken`, `Faults` with what each script or target lacks, `DownloadsFailed`, `FileFault`, `UvFailed`.
    """
    _refuse_foreign(output)
    with workers(_THREADS) as pool, tempfile.TemporaryDirectory() as scratch:
        yield Progress(text=f"Resolving {', '.join(script.name for script in scripts)}")
        resolving = [pool.submit(lock.resolve, script.path) for script in scripts]
        # requests takes a tenth of a second to import; uv resolves meanwhile.
        from wheelhouse.download import Downloads

        resolutions, faults = attempt_all(lambda future: future.result(), resolving)
        if faults:
            raise Faults(faults)
        installs = _installs(scripts, resolutions, targets, Path(scratch), pool)
        wheels = _distinct(pin.wheel for pins in installs.values() for pin in pins)
        with files.building(output) as folder:
            writing = [pool.submit(_write_target, folder, target, scripts, installs) for target in targets]
            downloads = Downloads(wheels, cache)
            for received in downloads.run():
                yield Progress(text=f"Downloading {len(wheels)} wheels", done=received, total=downloads.total)
            for future in writing:
                future.result()
            with files.explained(folder):
                (folder / "wheels").mkdir()
            for wheel in wheels:
                files.link(downloads.path(wheel), folder / "wheels" / wheel.filename)
            manifest = _write_manifest(folder, scripts, targets, installs, wheels)
    size = sum(file.size for file in manifest.files)
    yield Progress(
        text=f"Bundled {len(wheels)} wheels ({len(downloads.fetched)} downloaded) for {len(targets)} "
        f"target{'s'[: len(targets) != 1]}, {size / 1e6:.1f} MB"
    )


def _refuse_foreign(output: Path) -> None:
    """Raise `OutputTaken` unless `output` is free, empty or a bundle and nothing else: these are ours to replace."""
    with files.explained(output):
        if not os.path.lexists(output):
            return
        is_folder = output.is_dir() and not output.is_symlink()
        if is_folder and not any(output.iterdir()):
            return
    try:
        foreign = foreign_files(output) if is_folder else {output.name}
    except BundlerError as fault:
        raise OutputTaken(output) from fault
    if foreign:
        raise OutputTaken(output)


def _installs(
    scripts: Sequence[Script],
    resolutions: Sequence[Resolution],
    targets: Sequence[Target],
    scratch: Path,
    pool: ThreadPoolExecutor,
) -> Installs:
    """Return what each script installs on each target, by both names; raise `Faults` with all that is missing."""
    pairs = [
        (script, resolution, target)
        for script, resolution in zip(scripts, resolutions, strict=True)
        for target in targets
    ]
    futures = []
    for number, (script, resolution, target) in enumerate(pairs):
        folder = scratch / str(number)
        folder.mkdir()
        futures.append(pool.submit(lock.pins, resolution, target, script.project(), folder))
    found, faults = attempt_all(lambda future: future.result(), futures)
    if faults:
        raise Faults(faults)
    return {(script.name, target.name): pins for (script, _, target), pins in zip(pairs, found, strict=True)}


def _distinct(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Return each wheel once, by file name; raise `UnusableLock` when one name stands for different bytes."""
    found: dict[str, Wheel] = {}
    clashes = set()
    for wheel in wheels:
        if found.setdefault(wheel.filename, wheel).sha256 != wheel.sha256:
            clashes.add(f"{wheel.filename} comes from two places with different bytes")
    if clashes:
        raise UnusableLock("The scripts together", clashes)
    return [found[filename] for filename in sorted(found)]


def _write_target(folder: Path, target: Target, scripts: Sequence[Script], installs: Installs) -> None:
    """Write what `target` installs: the simple index, and each script with its lock."""
    place = folder / "targets" / target.name
    pins = {script.name: installs[script.name, target.name] for script in scripts}
    pages: dict[str, list[Link]] = {}
    for wheel in _distinct(pin.wheel for each in pins.values() for pin in each):
        link = Link(filename=wheel.filename, path=f"../../../../wheels/{wheel.filename}", sha256=wheel.sha256)
        pages.setdefault(wheel.project, []).append(link)
    files.write(place / "simple" / "index.html", root_page(pages))
    for project, links in pages.items():
        files.write(place / "simple" / project / "index.html", project_page(project, links))
    for script in scripts:
        name, _, pylock = target_files(script.name)
        lock.write_node_lock(place / name, pins[name], target)
        files.write(place / name, script.data)
        files.write(place / pylock, lock.target_pylock(pins[name], "../../wheels"))


def _write_manifest(
    folder: Path, scripts: Sequence[Script], targets: Sequence[Target], installs: Installs, wheels: Sequence[Wheel]
) -> Manifest:
    """Write README.txt, manifest.json and SHA256SUMS of the bundle whose other files lie in `folder`."""
    manifest = Manifest(
        name=_plain(scripts[0].path.stem),
        scripts=tuple(script_entry(script) for script in scripts),
        targets=tuple(_target_entry(target, scripts, installs) for target in targets),
        files=(),
    )
    files.write(folder / "README.txt", readme(manifest))
    entries = [_wheel_file(folder, wheel) for wheel in wheels]
    entries += [
        File(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=files.sha256(path))
        for path in [folder / "README.txt", *(folder / "targets").rglob("*")]
        if path.is_file()
    ]
    manifest = replace(manifest, files=tuple(sorted(entries, key=lambda file: file.path)))
    data = manifest.to_json()
    files.write(folder / manifests.NAME, data)
    digests = {file.path: file.sha256 for file in entries} | {manifests.NAME: hashlib.sha256(data).hexdigest()}
    files.write(folder / manifests.SUMS, manifests.sums(digests))
    return manifest


def _wheel_file(folder: Path, wheel: Wheel) -> File:
    path = f"wheels/{wheel.filename}"
    # A folder of this machine is nobody's business on the far side, and a query may hold a token.
    origin = None if wheel.url.startswith("file:") else redacted(wheel.url).partition("?")[0]
    return File(path=path, size=(folder / path).stat().st_size, sha256=wheel.sha256, origin=origin)


def script_entry(script: Script) -> ScriptEntry:
    """Return what the manifest says of `script`."""
    beside = lock.lock_path(script.path)
    return ScriptEntry(
        name=script.name,
        sha256=script.sha256,
        requires_python=str(script.requires_python),
        dependencies=tuple(redacted(dependency) for dependency in script.dependencies),
        lock_sha256=files.sha256(beside) if beside.is_file() else None,
    )


def _target_entry(target: Target, scripts: Sequence[Script], installs: Installs) -> TargetEntry:
    return TargetEntry(
        name=target.name,
        python=target.python,
        platform=target.platform.name,
        system=target.platform.system,
        machine=target.platform.machine,
        libc=target.platform.libc,
        wheels={
            script.name: tuple(pin.wheel.filename for pin in installs[script.name, target.name]) for script in scripts
        },
    )


def _plain(text: str) -> str:
    """Return `text` as a name that is safe everywhere, `script` where nothing of it is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", ascii_text)[:_NAME_LENGTH].strip("-_") or "script"
