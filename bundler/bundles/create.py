"""Create a bundle from sources and targets."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from bundler.bundle_folder import Bundle, open_bundle
from bundler.bundles.documents import NO_DOCUMENTS, Documents, now, write_documents
from bundler.bundles.exclusions import exclusions
from bundler.bundles.indexes import Indexes, read_indexes
from bundler.bundles.inputs import paths_of, remember
from bundler.bundles.plan import Plan, Tools, make_plan
from bundler.bundles.upgrade import changes, settings_changes
from bundler.bundles.verify import foreign_files, verify
from bundler.bundles.writer import write_target
from bundler.errors import BundlerError
from bundler.layout import PYTHONS, WHEELS
from bundler.lazily import lazily
from bundler.progress import Progress, Report
from bundler.sources.source import Source
from bundler.units import counted, size_text
from wheelhouse import atomic, files
from wheelhouse.build.builder import Builder
from wheelhouse.errors import WheelhouseError
from wheelhouse.process import workers
from wheelhouse.space import require_space, same_disk
from wheelhouse.target import Target
from wheelhouse.wheel import FROM_FOLDER

with lazily():
    from wheelhouse.fetch import download  # Needs requests, which takes a tenth of a second.

# Concurrent calls of uv; each is a process that mostly waits for the network or writes a file.
_THREADS = 4
# Bytes of the index pages and locks of a target.
_TARGET_BYTES = 100_000


def default_output(scripts: Sequence[Path]) -> Path:
    """Return the default path for the bundle of `scripts`: in this folder, named after the first one."""
    first = scripts[0]
    if first == Path("-"):
        return Path("stdin.bundle")
    stem = first.resolve().name if first.is_dir() else first.stem
    return Path(f"{stem}.bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """The projects that may be built from source: those in `names`, or `everything` without a suitable wheel."""

    names: tuple[str, ...] = ()
    everything: bool = False


def up_to_date(
    output: Path, sources: Sequence[Source], targets: Sequence[Target], tools: Tools
) -> bool:
    """Return whether `output` is a complete bundle of exactly these sources, locks, targets and tools.

    Like a lock, a bundle keeps its versions until an upgrade is requested.
    """
    try:
        manifest = verify(output).manifest
    except WheelhouseError:
        return False
    for file in manifest.files:
        if file.origin is not None and file.origin.startswith(FROM_FOLDER):
            return False  # Nobody knows whether the folder has changed since.
    if any(source.includes_others() for source in sources):
        return False  # Nobody knows whether the included files have changed.
    if list(manifest.scripts) != [source.entry() for source in sources]:
        return False
    wanted = [(target.name, tools.uv, tools.python) for target in targets]
    bundled = [
        (target.name, target.uv is not None, target.interpreter is not None)
        for target in manifest.targets
    ]
    return bundled == wanted


def build(
    sources: Sequence[Source],
    targets: Sequence[Target],
    output: Path,
    cache: Path,
    tools: Tools,
    builds: Builds,
    documents: Documents = NO_DOCUMENTS,
    *,
    pooled: bool = False,
    report: Report,
) -> list[str]:
    """Resolve `sources` for `targets`, download the files into the cache `cache` and write the bundle to `output`.

    `documents` are the documents that are written, too. `pooled` says that each file may come from any index. Returns a
    description of each package whose version differs from that in the previous bundle. Raises `BundlerError`,
    `CombinedError` with everything that is missing, `DownloadError`, `FileError`, `UvError`.
    """
    start, began = time.monotonic(), now()
    _refuse_foreign(output)
    # The bundle may replace the current folder, which makes relative paths invalid.
    place, paths = output.absolute(), paths_of(sources)
    before = _before(place)
    if before is not None:
        differences = settings_changes(
            before.manifest, sources, targets, uv=tools.uv, python=tools.python
        )
        if differences:
            report(
                Progress(kind="note", text=f"Options of {output} change: {'; '.join(differences)}")
            )
    report(Progress(text=f"Resolving {', '.join(source.path.name or '.' for source in sources)}"))
    indexes = read_indexes(sources)
    plan = _plan(sources, targets, tools, _builder(cache, builds, indexes), indexes, pooled=pooled)
    for warning in plan.warnings:
        report(Progress(kind="warning", text=warning))
    downloads = _downloads(plan, cache, indexes, place)
    # Threads must have ended before their folder is deleted.
    with atomic.building(place) as folder, workers(_THREADS) as pool:
        writing = [pool.submit(write_target, folder, target, plan) for target in targets]
        for received in downloads.run():
            if downloads.absent:
                text = f"Downloading {counted(downloads.absent, 'file')}"
                report(Progress(text=text, done=received, total=downloads.expected))
        for future in writing:
            future.result()
        _link(folder, WHEELS, plan.wheels(), downloads)
        _link(folder, PYTHONS, plan.archives(), downloads)
        for warning in exclusions(folder / WHEELS, plan, indexes):
            report(Progress(kind="warning", text=warning))
        manifest = write_documents(
            folder, plan, documents, indexes, pool, began, before, report=report
        )
    remember(place, paths, cache)
    amount = f"{counted(len(plan.wheels()), 'wheel')} for {counted(len(targets), 'target')}"
    seconds = time.monotonic() - start
    report(
        Progress(
            kind="note", text=f"Bundled {amount} ({size_text(manifest.size)}) in {seconds:.1f} s"
        )
    )
    return changes(before.manifest, manifest) if before is not None else []


def _builder(cache: Path, builds: Builds, indexes: Indexes) -> Builder:
    return Builder(
        cache=cache,
        names=frozenset(canonicalize_name(name) for name in builds.names),
        everything=builds.everything,
        credentials=indexes.credentials,
    )


def _plan(
    sources: Sequence[Source],
    targets: Sequence[Target],
    tools: Tools,
    builder: Builder,
    indexes: Indexes,
    *,
    pooled: bool,
) -> Plan:
    with workers(_THREADS) as pool, tempfile.TemporaryDirectory() as scratch:
        # uv resolves ".." in paths without following links.
        return make_plan(
            sources, targets, tools, builder, Path(scratch).resolve(), pool, indexes, pooled=pooled
        )


def _downloads(plan: Plan, cache: Path, indexes: Indexes, output: Path) -> download.Downloads:
    """Return the downloads of `plan` into `cache`. Raises `FileError` if there is no room for them, or for `output`."""
    downloads = download.Downloads(
        [*plan.wheels(), *plan.archives()], cache, indexes.credentials, indexes.elsewhere
    )
    # On the disk of the cache, a bundle consists of hard links.
    copied = 0 if same_disk(cache, output) else downloads.total
    require_space(
        {cache: downloads.absent_bytes, output.parent: copied + _TARGET_BYTES * len(plan.targets)}
    )
    return downloads


def _link(
    folder: Path, name: str, remotes: Sequence[download.Remote], downloads: download.Downloads
) -> None:
    """Link `remotes` from the cache into the folder `name` of the bundle; there is always one for wheels."""
    if remotes or name == WHEELS:
        with files.explained(folder):
            (folder / name).mkdir()
    for remote in remotes:
        files.link(downloads.path(remote), folder / name / remote.filename)


def _before(output: Path) -> Bundle | None:
    """Return the bundle at `output`, or None."""
    try:
        return open_bundle(output)
    except WheelhouseError:
        return None


def _refuse_foreign(output: Path) -> None:
    """Raise `BundlerError` unless `output` is absent, empty or a bundle without other files, which may be replaced."""
    taken = BundlerError(
        f"{output} exists and is not a bundle", hint="move it away, or choose another --output"
    )
    with files.explained(output):
        if not os.path.lexists(output):
            return
        if output.is_symlink() or not output.is_dir():
            raise taken
        if not any(output.iterdir()):
            return
    try:
        foreign = foreign_files(output)
    except BundlerError as error:
        raise taken from error
    if foreign:
        raise taken
