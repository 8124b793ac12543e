"""Create a bundle from sources and targets."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from bundler.bundles.exclusions import exclusions
from bundler.bundles.indexes import read_indexes
from bundler.bundles.origin import paths_of, remember
from bundler.bundles.papers import NO_PAPERS, Papers, now, write_papers
from bundler.bundles.plan import Tools, make_plan
from bundler.bundles.upgrade import changes, settings_changes
from bundler.bundles.verify import foreign_files, verify
from bundler.bundles.writer import write_target
from bundler.errors import BundlerError
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress, Report
from bundler.sources.source import Source
from bundler.units import counted, size_text
from wheelhouse import atomic, files
from wheelhouse.build import Builder
from wheelhouse.download import Remote
from wheelhouse.errors import WheelhouseError
from wheelhouse.process import workers
from wheelhouse.space import require_space, same_disk
from wheelhouse.target import Target

# Concurrent calls of uv; each is a process that mostly waits for the network or writes a file.
_THREADS = 4
# Bytes of the index pages and locks of a target.
_TARGET_BYTES = 100_000


def default_output(scripts: Sequence[Path]) -> Path:
    """Return the default path for the bundle of `scripts`: in this folder, named after the first one."""
    first = scripts[0]
    stem = "stdin" if first == Path("-") else first.resolve().name if first.is_dir() else first.stem
    return Path(f"{stem}.bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """The projects that may be built from source: those in `names`, or `everything` without a suitable wheel."""

    names: tuple[str, ...] = ()
    everything: bool = False


def up_to_date(output: Path, sources: Sequence[Source], targets: Sequence[Target], tools: Tools) -> bool:
    """Return whether `output` is a complete bundle of exactly these sources, locks, targets and tools.

    Like a lock, a bundle keeps its versions until an upgrade is requested.
    """
    try:
        manifest = verify(output)
    except WheelhouseError:
        return False
    if any((file.origin or "").startswith("built from the folder") for file in manifest.files):
        return False  # Nobody knows whether the folder has changed since.
    if any(source.includes_others() for source in sources):
        return False  # Nobody knows whether the included files have changed.
    entries = [source.entry() for source in sources]
    return list(manifest.scripts) == entries and [
        (target.name, target.uv is not None, target.interpreter is not None) for target in manifest.targets
    ] == [(target.name, tools.uv, tools.python) for target in targets]


def build(
    sources: Sequence[Source],
    targets: Sequence[Target],
    output: Path,
    cache: Path,
    tools: Tools,
    builds: Builds,
    papers: Papers = NO_PAPERS,
    *,
    pooled: bool = False,
    report: Report,
) -> list[str]:
    """Resolve `sources` for `targets`, download the files into the cache `cache` and write the bundle to `output`.

    `papers` are the documents that are written, too. `pooled` says that each file may come from any index. Returns a
    description of each package whose version differs from that in the previous bundle. Raises `BundlerError`,
    `CombinedError` with everything that is missing, `DownloadError`, `FileError`, `UvError`.
    """
    start, began = time.monotonic(), now()
    _refuse_foreign(output)
    # The bundle may replace the current folder, which makes relative paths invalid.
    place, paths = output.absolute(), paths_of(sources)
    before = _before(output)
    differences = settings_changes(before, sources, targets, uv=tools.uv, python=tools.python) if before else []
    if differences:
        report(Progress(kind="note", text=f"Options of {output} change: {'; '.join(differences)}"))
    report(Progress(text=f"Resolving {', '.join(source.path.name or '.' for source in sources)}"))
    indexes = read_indexes(sources)
    builder = Builder(
        cache=cache,
        names=frozenset(canonicalize_name(name) for name in builds.names),
        everything=builds.everything,
        credentials=indexes.credentials,
    )
    with workers(_THREADS) as pool, tempfile.TemporaryDirectory() as scratch:
        # uv resolves ".." in paths without following links.
        plan = make_plan(sources, targets, tools, builder, Path(scratch).resolve(), pool, indexes, pooled=pooled)
    for warning in plan.warnings:
        report(Progress(kind="warning", text=warning))
    from wheelhouse.download import Downloads  # noqa: PLC0415 - see `make_plan`

    remotes: dict[str, Sequence[Remote]] = {"wheels": plan.wheels(), "pythons": plan.archives()}
    queue = [*remotes["wheels"], *remotes["pythons"]]
    downloads = Downloads(queue, cache, indexes.credentials, indexes.elsewhere)
    # On the disk of the cache, a bundle consists of hard links.
    copied = 0 if same_disk(cache, output) else downloads.total
    require_space({cache: downloads.absent_bytes, output.absolute().parent: copied + _TARGET_BYTES * len(targets)})
    # Threads must have ended before their folder is deleted.
    with atomic.building(output) as folder, workers(_THREADS) as pool:
        writing = [pool.submit(write_target, folder, target, plan) for target in targets]
        for received in downloads.run():
            if downloads.absent:
                text = f"Downloading {counted(downloads.absent, 'file')}"
                report(Progress(text=text, done=received, total=downloads.total))
        for future in writing:
            future.result()
        with files.explained(folder):
            (folder / "wheels").mkdir()
            if remotes["pythons"]:
                (folder / "pythons").mkdir()
        for name, items in remotes.items():
            for remote in items:
                files.link(downloads.path(remote), folder / name / remote.filename)
        for warning in exclusions(folder / "wheels", plan, indexes):
            report(Progress(kind="warning", text=warning))
        manifest = write_papers(folder, plan, papers, indexes, pool, began, (place, before), report=report)
    remember(place, paths, cache)
    size = size_text(sum(file.size for file in manifest.files))
    amount = f"{counted(len(remotes['wheels']), 'wheel')} for {counted(len(targets), 'target')}"
    report(Progress(kind="note", text=f"Bundled {amount} ({size}) in {time.monotonic() - start:.1f} s"))
    return changes(before, manifest) if before else []


def _before(output: Path) -> Manifest | None:
    """Return the manifest of the bundle at `output`, or None."""
    try:
        return read_manifest(output)
    except WheelhouseError:
        return None


def _taken(output: Path) -> BundlerError:
    return BundlerError(f"{output} exists and is not a bundle", hint="move it away, or choose another --output")


def _refuse_foreign(output: Path) -> None:
    """Raise `BundlerError` unless `output` is absent, empty or a bundle without other files, which may be replaced."""
    with files.explained(output):
        if not os.path.lexists(output):
            return
        is_folder = output.is_dir() and not output.is_symlink()
        if is_folder and not any(output.iterdir()):
            return
    try:
        foreign = foreign_files(output) if is_folder else {output.name}
    except BundlerError as error:
        raise _taken(output) from error
    if foreign:
        raise _taken(output)
