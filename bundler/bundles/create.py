"""Building a bundle: from scripts and targets to one folder that can cross the gap."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from bundler.bundles.indexes import read_indexes
from bundler.bundles.origin import paths_of, remember
from bundler.bundles.plan import make_plan
from bundler.bundles.upgrade import changes, settings_changes
from bundler.bundles.verify import foreign_files, verify
from bundler.bundles.writer import write_manifest, write_target
from bundler.errors import BundlerError
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress
from bundler.units import counted, size_text
from wheelhouse import files
from wheelhouse.build import Builder
from wheelhouse.errors import WheelhouseError
from wheelhouse.process import workers
from wheelhouse.space import require_space, same_disk

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bundler.bundles.plan import Tools
    from bundler.manifest import Manifest
    from bundler.sources.source import Source
    from wheelhouse.download import Remote
    from wheelhouse.target import Target

# uv calls that run at once; each is one process that waits for the network or writes one file.
_THREADS = 4
# What a target takes beside wheels: pages and locks.
_TARGET_BYTES = 100_000


def default_output(scripts: Sequence[Path]) -> Path:
    """Return where the bundle of `scripts` goes unless told otherwise: into this folder, named after the first."""
    first = scripts[0]
    stem = "stdin" if first == Path("-") else first.resolve().name if first.is_dir() else first.stem
    return Path(f"{stem}.bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Which projects may be built here from source: those in `names`, or `everything` that has no wheel."""

    names: tuple[str, ...] = ()
    everything: bool = False


def up_to_date(output: Path, sources: Sequence[Source], targets: Sequence[Target], tools: Tools) -> bool:
    """Return whether `output` is a whole bundle of just these sources, locks beside them, targets and tools.

    Its versions stand until somebody asks for newer ones, as those of a lock do.
    """
    try:
        found = verify(output)
    except WheelhouseError:
        return False
    if any((file.origin or "").startswith("built from the folder") for file in found.files):
        return False  # nothing tells whether the folder has changed since
    if any(source.includes_others() for source in sources):
        return False  # nor whether what it includes has
    wanted = [source.entry() for source in sources]
    return list(found.scripts) == wanted and [
        (target.name, target.uv is not None, target.interpreter is not None) for target in found.targets
    ] == [(target.name, tools.uv, tools.python) for target in targets]


def build(
    sources: Sequence[Source],
    targets: Sequence[Target],
    output: Path,
    cache: Path,
    tools: Tools,
    builds: Builds,
) -> Generator[Progress, None, list[str]]:
    """Resolve `sources` for `targets`, download what they need through `cache` and write the bundle to `output`.

    Returns, in words, the packages of which the bundle that was there held other versions.
    Raises `BundlerError`, `CombinedError` with all that is missing, `DownloadError`, `FileError`, `UvError`.
    """
    start = time.monotonic()
    _refuse_foreign(output)
    # The bundle may take the place of the working folder, after which nothing is relative to it.
    place, paths = output.absolute(), paths_of(sources)
    before = _before(output)
    differences = settings_changes(before, sources, targets, uv=tools.uv, python=tools.python) if before else []
    if differences:
        yield Progress(kind="note", text=f"Options of {output} change: {'; '.join(differences)}")
    yield Progress(text=f"Resolving {', '.join(source.path.name or '.' for source in sources)}")
    indexes = read_indexes(sources)
    builder = Builder(
        cache=cache,
        names=frozenset(canonicalize_name(name) for name in builds.names),
        everything=builds.everything,
        indexes=indexes.variables,
        credentials=indexes.credentials,
    )
    with workers(_THREADS) as pool, tempfile.TemporaryDirectory() as scratch:
        # Resolved, since uv counts ".." in paths by their names.
        plan = make_plan(sources, targets, tools, builder, Path(scratch).resolve(), pool)
    for note in plan.notes:
        yield Progress(kind="note", text=note)
    from wheelhouse.download import Downloads  # imported by now, see `make_plan`

    remotes: dict[str, Sequence[Remote]] = {"wheels": plan.wheels(), "pythons": plan.archives()}
    wanted = [*remotes["wheels"], *remotes["pythons"]]
    downloads = Downloads(wanted, cache, indexes.credentials, indexes.elsewhere)
    # A bundle on the disk of the cache is made of links.
    copied = 0 if same_disk(cache, output) else downloads.total
    require_space({cache: downloads.absent_bytes, output.absolute().parent: copied + _TARGET_BYTES * len(targets)})
    # The threads that write end before what they write to is removed.
    with files.building(output) as folder, workers(_THREADS) as pool:
        writing = [pool.submit(write_target, folder, target, plan) for target in targets]
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
        manifest = write_manifest(folder, plan)
    remember(place, paths, cache)
    size = size_text(sum(file.size for file in manifest.files))
    amount = f"{counted(len(remotes['wheels']), 'wheel')} for {counted(len(targets), 'target')}"
    yield Progress(kind="note", text=f"Bundled {amount} ({size}) in {time.monotonic() - start:.1f} s")
    return changes(before, manifest) if before else []


def _before(output: Path) -> Manifest | None:
    """Return the manifest of the bundle at `output`, None where there is none."""
    try:
        return read_manifest(output)
    except WheelhouseError:
        return None


def _taken(output: Path) -> BundlerError:
    return BundlerError(f"{output}: exists and is not a bundle", hint="move it away, or choose another --output")


def _refuse_foreign(output: Path) -> None:
    """Raise `BundlerError` unless `output` is free, empty or a bundle and nothing else: these are ours to replace."""
    with files.explained(output):
        if not os.path.lexists(output):
            return
        is_folder = output.is_dir() and not output.is_symlink()
        if is_folder and not any(output.iterdir()):
            return
    try:
        foreign = foreign_files(output) if is_folder else {output.name}
    except BundlerError as fault:
        raise _taken(output) from fault
    if foreign:
        raise _taken(output)
