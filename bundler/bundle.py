"""Building a bundle: from scripts and targets to one folder that can cross the gap."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.contents import Contents, script_entry, write_manifest, write_target
from bundler.errors import BundlerError, Faults, OutputTaken, attempt_all
from bundler.progress import Progress
from bundler.script import read_script
from bundler.verify import foreign_files, verify
from wheelhouse import files, interpreter, lock, uv
from wheelhouse.credentials import index_credentials
from wheelhouse.errors import WheelhouseError
from wheelhouse.process import workers

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from bundler.script import Script
    from wheelhouse.lock import Pin, Resolution
    from wheelhouse.target import Target

# uv calls that run at once; each is one process that waits for the network or writes one file.
_THREADS = 4


def default_output(scripts: Sequence[Path]) -> Path:
    """Return where the bundle of `scripts` goes unless told otherwise: into this folder, named after the first."""
    return Path(f"{scripts[0].stem}.bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a bundle carries for nodes that have nothing: uv, and Python from `mirror` or from uv's own list."""

    uv: bool = False
    python: bool = False
    mirror: str | None = None


def up_to_date(output: Path, scripts: Sequence[Script], targets: Sequence[Target], tools: Tools) -> bool:
    """Return whether `output` is a whole bundle of just these scripts, locks beside them, targets and tools.

    Its versions stand until somebody asks for newer ones, as those of a lock do.
    """
    try:
        found = verify(output)
    except (BundlerError, WheelhouseError):
        return False
    wanted = [script_entry(script) for script in scripts]
    return list(found.scripts) == wanted and [
        (target.name, target.uv is not None, target.interpreter is not None) for target in found.targets
    ] == [(target.name, tools.uv, tools.python) for target in targets]


def build(
    scripts: Sequence[Script], targets: Sequence[Target], output: Path, cache: Path, tools: Tools
) -> Generator[Progress, None, None]:
    """Resolve `scripts` for `targets`, download what they need through `cache` and write the bundle to `output`.

    Raises `OutputTaken`, `Faults` with what each script or target lacks, `DownloadsFailed`, `FileFault`, `UvFailed`.
    """
    _refuse_foreign(output)
    with workers(_THREADS) as pool, tempfile.TemporaryDirectory() as scratch:
        yield Progress(text=f"Resolving {', '.join(script.name for script in scripts)}")
        stand_in = _uv_script(Path(scratch)) if tools.uv else None
        paths = [script.path for script in scripts] + ([stand_in.path] if stand_in else [])
        resolving = [pool.submit(lock.resolve, path) for path in paths]
        # requests takes a tenth of a second to import; uv resolves meanwhile.
        from wheelhouse.download import Downloads
        from wheelhouse.http import fetch

        resolutions, faults = attempt_all(lambda future: future.result(), resolving)
        if faults:
            raise Faults(faults)
        all_scripts = [*scripts, *([stand_in] if stand_in else [])]
        installs = _installs(all_scripts, resolutions, targets, Path(scratch), pool)
        uvs = {target: pins[0].wheel for (name, target), pins in installs.items() if stand_in and name == stand_in.name}
        interpreters = {}
        if tools.python:
            found, faults = attempt_all(lambda target: interpreter.find(target, tools.mirror, fetch), targets)
            if faults:
                raise Faults(faults)
            interpreters = dict(zip([target.name for target in targets], found, strict=True))
        contents = Contents(scripts=scripts, targets=targets, installs=installs, uvs=uvs, interpreters=interpreters)
        wheels, archives = contents.wheels(), contents.archives()
        with files.building(output) as folder:
            writing = [pool.submit(write_target, folder, target, contents) for target in targets]
            settings = [script.metadata.get("tool", {}).get("uv", {}) for script in scripts]
            downloads = Downloads([*wheels, *archives], cache, index_credentials(settings))
            for received in downloads.run():
                yield Progress(text=f"Downloading {len(downloads.remotes)} files", done=received, total=downloads.total)
            for future in writing:
                future.result()
            for name, remotes in (("wheels", wheels), ("pythons", archives)):
                with files.explained(folder):
                    (folder / name).mkdir() if remotes or name == "wheels" else None
                for remote in remotes:
                    files.link(downloads.path(remote), folder / name / remote.filename)
            manifest = write_manifest(folder, contents)
    size = sum(file.size for file in manifest.files)
    yield Progress(
        text=f"Bundled {len(wheels)} wheels ({len(downloads.fetched)} files downloaded) for {len(targets)} "
        f"target{'s'[: len(targets) != 1]}, {size / 1e6:.1f} MB"
    )


def _uv_script(folder: Path) -> Script:
    """Return a stand-in script that depends on the uv that makes the locks, so that uv is resolved like all else."""
    path = folder / "uv itself"
    path.write_text(f'# /// script\n# requires-python = ">=3.8"\n# dependencies = ["uv=={uv.version()}"]\n# ///\n')
    return read_script(path)


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
) -> Mapping[tuple[str, str], Sequence[Pin]]:
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
