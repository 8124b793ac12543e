"""Building a bundle: from scripts and targets to one folder that can cross the gap."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from bundler.bundle import indexes
from bundler.bundle.origin import remember, sources_of
from bundler.bundle.upgrade import changes, settings_changes
from bundler.bundle.verify import foreign_files, verify
from bundler.bundle.writer import Contents, script_entry, write_manifest, write_target
from bundler.errors import BundlerError, Faults, OutputTaken, attempt_all
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress
from bundler.sources import inputs
from bundler.sources.script import read_script
from bundler.units import counted
from wheelhouse import files, interpreter, selection, toml, uv
from wheelhouse.build import Builder
from wheelhouse.errors import WheelhouseError
from wheelhouse.process import workers
from wheelhouse.space import require_space, same_disk

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from bundler.manifest import Manifest
    from bundler.sources.script import Script
    from wheelhouse.download import Remote
    from wheelhouse.resolution import Resolution
    from wheelhouse.selection import Selection
    from wheelhouse.target import Target

# uv calls that run at once; each is one process that waits for the network or writes one file.
_THREADS = 4
# What a target takes beside wheels: pages and locks.
_TARGET_BYTES = 100_000
_INDEX_SETTINGS = ("index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy")


def default_output(scripts: Sequence[Path]) -> Path:
    """Return where the bundle of `scripts` goes unless told otherwise: into this folder, named after the first."""
    first = scripts[0]
    stem = "stdin" if first == Path("-") else first.resolve().name if first.is_dir() else first.stem
    return Path(f"{stem}.bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a bundle carries for nodes that have nothing: uv, and Python from `mirror` or from uv's own list."""

    uv: bool = False
    python: bool = False
    mirror: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Which projects may be built here from source: those in `names`, or `everything` that has no wheel."""

    names: tuple[str, ...] = ()
    everything: bool = False


def up_to_date(output: Path, scripts: Sequence[Script], targets: Sequence[Target], tools: Tools) -> bool:
    """Return whether `output` is a whole bundle of just these scripts, locks beside them, targets and tools.

    Its versions stand until somebody asks for newer ones, as those of a lock do.
    """
    try:
        found = verify(output)
    except (BundlerError, WheelhouseError):
        return False
    if any((file.origin or "").startswith("built from the folder") for file in found.files):
        return False  # nothing tells whether the folder has changed since
    if any(inputs.includes_others(script) for script in scripts):
        return False  # nor whether what it includes has
    wanted = [script_entry(script) for script in scripts]
    return list(found.scripts) == wanted and [
        (target.name, target.uv is not None, target.interpreter is not None) for target in found.targets
    ] == [(target.name, tools.uv, tools.python) for target in targets]


def build(
    scripts: Sequence[Script],
    targets: Sequence[Target],
    output: Path,
    cache: Path,
    tools: Tools,
    builds: Builds,
) -> Generator[Progress, None, list[str]]:
    """Resolve `scripts` for `targets`, download what they need through `cache` and write the bundle to `output`.

    Returns, in words, the packages of which the bundle that was there held other versions.
    Raises `OutputTaken`, `Faults` with what each script or target lacks, `DownloadsFailed`, `FileFault`, `UvFailed`.
    """
    _refuse_foreign(output)
    # The bundle may take the place of the working folder, after which nothing is relative to it.
    place, sources = output.absolute(), sources_of(scripts)
    before = _before(output)
    differences = settings_changes(before, scripts, targets, uv=tools.uv, python=tools.python) if before else []
    if differences:
        yield Progress(text=f"Changing how {output} is made: {'; '.join(differences)}")
    yield Progress(text=f"Resolving {', '.join((script.source or script.path).name or '.' for script in scripts)}")
    credentials = indexes.credentials(scripts)
    builder = Builder(
        cache=cache,
        names=frozenset(canonicalize_name(name) for name in builds.names),
        everything=builds.everything,
        indexes=indexes.variables(scripts),
        credentials=credentials,
    )
    with workers(_THREADS) as pool, tempfile.TemporaryDirectory() as scratch:
        # Resolved, since uv counts ".." in paths by their names.
        contents, notes = _resolve(scripts, targets, tools, builder, Path(scratch).resolve(), pool)
    for note in notes:
        yield Progress(text=note)
    from wheelhouse.download import Downloads  # imported by now, see `_resolve`

    remotes: dict[str, Sequence[Remote]] = {"wheels": contents.wheels(), "pythons": contents.archives()}
    wanted = [*remotes["wheels"], *remotes["pythons"]]
    downloads = Downloads(wanted, cache, credentials, indexes.elsewhere(scripts))
    # A bundle on the disk of the cache is made of links.
    copied = 0 if same_disk(cache, output) else downloads.total
    require_space({cache: downloads.absent_bytes, output.absolute().parent: copied + _TARGET_BYTES * len(targets)})
    # The threads that write end before what they write to is removed.
    with files.building(output) as folder, workers(_THREADS) as pool:
        writing = [pool.submit(write_target, folder, target, contents) for target in targets]
        for received in downloads.run():
            yield Progress(
                text=f"Downloading {counted(downloads.absent, 'file')}", done=received, total=downloads.total
            )
        for future in writing:
            future.result()
        with files.explained(folder):
            (folder / "wheels").mkdir()
            if remotes["pythons"]:
                (folder / "pythons").mkdir()
        for name, those in remotes.items():
            for remote in those:
                files.link(downloads.path(remote), folder / name / remote.filename)
        manifest = write_manifest(folder, contents)
    remember(place, sources, cache)
    size = sum(file.size for file in manifest.files)
    wheels, fetched = counted(len(remotes["wheels"]), "wheel"), counted(len(downloads.fetched), "file")
    yield Progress(
        text=f"Bundled {wheels} ({fetched} downloaded) for {counted(len(targets), 'target')}, {size / 1e6:.1f} MB"
    )
    return changes(before, manifest) if before else []


def _resolve(
    scripts: Sequence[Script],
    targets: Sequence[Target],
    tools: Tools,
    builder: Builder,
    scratch: Path,
    pool: ThreadPoolExecutor,
) -> tuple[Contents, list[str]]:
    """Return all that the bundle will hold and what to say of it; raise `Faults` with all that is missing."""
    stand_in = _uv_script(scripts[0], scratch) if tools.uv else None
    all_scripts = [*scripts, *([stand_in] if stand_in else [])]
    resolving = []
    for number, script in enumerate(all_scripts):
        (scratch / f"all-{number}").mkdir()
        resolving.append(pool.submit(inputs.resolve, script, targets, scratch / f"all-{number}"))
    # requests takes a tenth of a second to import; uv resolves meanwhile.
    import wheelhouse.download  # noqa: F401 - for `build`
    from wheelhouse.http import fetch

    resolutions, faults = attempt_all(lambda future: future.result(), resolving)
    if faults:
        raise Faults(faults)
    selections = _selections(all_scripts, resolutions, targets, builder, scratch, pool)
    installs = {(script.name, target.name): found.pins for script, target, found in selections}
    uvs = {target: pins[0].wheel for (name, target), pins in installs.items() if stand_in and name == stand_in.name}
    archives, faults = attempt_all(
        lambda target: interpreter.find(target, tools.mirror, fetch), targets if tools.python else []
    )
    if faults:
        raise Faults(faults)
    interpreters = {target.name: archive for target, archive in zip(targets, archives, strict=False)}
    contents = Contents(scripts=scripts, targets=targets, installs=installs, uvs=uvs, interpreters=interpreters)
    return contents, [
        f"{script.name} installs other versions on {target}, since no wheels fit: "
        + ", ".join(f"{name} {before} -> {after}" for name, before, after in found.changes)
        for script, target, found in selections
        if found.changes
    ]


def _before(output: Path) -> Manifest | None:
    """Return the manifest of the bundle at `output`, None where there is none."""
    try:
        return read_manifest(output)
    except (BundlerError, WheelhouseError):
        return None


def _uv_script(like: Script, folder: Path) -> Script:
    """Return a stand-in script that depends on the uv that makes the locks, so that uv is resolved like all else.

    It comes from the indexes of the script that it is `like`.
    """
    settings = like.uv_settings()
    tables = {
        "requires-python": ">=3.8",
        "dependencies": [f"uv=={uv.version()}"],
        "tool": {"uv": {key: settings[key] for key in _INDEX_SETTINGS if key in settings}},
    }
    path = folder / "uv itself"
    path.write_text(toml.script_block(tables), encoding="utf-8")
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


def _selections(
    scripts: Sequence[Script],
    resolutions: Sequence[Resolution],
    targets: Sequence[Target],
    builder: Builder,
    scratch: Path,
    pool: ThreadPoolExecutor,
) -> list[tuple[Script, Target, Selection]]:
    """Return what each script installs on each target; raise `Faults` with all that is missing."""
    pairs = [
        (script, resolution, target)
        for script, resolution in zip(scripts, resolutions, strict=True)
        for target in targets
    ]
    futures = []
    for number, (script, resolution, target) in enumerate(pairs):
        folder = scratch / str(number)
        folder.mkdir()
        resolve_for = inputs.resolve_for(script, folder)
        futures.append(pool.submit(selection.select, resolution, target, builder, resolve_for))
    found, faults = attempt_all(lambda future: future.result(), futures)
    if faults:
        raise Faults(faults)
    return [(script, target, chosen) for (script, _, target), chosen in zip(pairs, found, strict=True)]
