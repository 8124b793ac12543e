"""The library: what the commands do, for programs and notebooks.

Nothing is printed: `report` is called with how far the work is and with notes. Every failure that can be explained is
a `BundlerError` or a `WheelhouseError`, whose text says what is wrong and what to do.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bundler.errors import BundlerError
from bundler.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from ansys.hps.client import Client

    from bundler.jobs.submission import Submission
    from bundler.manifest import Manifest

    Report = Callable[[Progress], None]

_T = TypeVar("_T")


def silent(progress: Progress) -> None:
    """Report nothing."""


def bundle(
    inputs: Sequence[str | Path],
    *,
    output: Path | None = None,
    pythons: Sequence[str] = (),
    platforms: Sequence[str] = (),
    include_uv: bool = False,
    include_python: bool = False,
    python_mirror: str | None = None,
    builds: Sequence[str] = (),
    build_all: bool = False,
    requirements: Sequence[str] = (),
    constraints: Sequence[Path] = (),
    overrides: Sequence[Path] = (),
    locked: bool = False,
    resolver: str = "uv",
    replace: bool = False,
    upgrade: bool = False,
    upgrade_packages: Sequence[str] = (),
    report: Report = silent,
) -> Path:
    """Bundle `inputs` for every combination of `pythons` and `platforms`; return the path of the bundle.

    The arguments are the options of the command `bundle`. Environment variables of this process are changed while it
    runs, so that uv reaches what pip is configured to. Raises `BundlerError`, `WheelhouseError`.
    """
    from bundler.bundles import create
    from bundler.bundles.origin import require_same_scripts
    from bundler.bundles.plan import Tools
    from bundler.bundles.site import adopted
    from bundler.bundles.targets import requested_targets
    from bundler.bundles.upgrade import keeping
    from bundler.cache import cache_folder
    from bundler.sources.additions import Additions, Resolver, requirement_lines
    from bundler.sources.reader import read_sources

    paths, cache = [Path(path) for path in inputs], cache_folder()
    additions = Additions(
        requirements=tuple(requirements),
        constraints=tuple(line for path in constraints for line in requirement_lines(path)),
        overrides=tuple(line for path in overrides for line in requirement_lines(path)),
        resolver=Resolver(resolver),
        locked=locked,
    )
    sources = read_sources(paths, additions)
    for source in sources:
        for warning in source.warnings():
            report(Progress(text=f"warning: {warning}"))
    targets = requested_targets(sources, pythons, platforms, own_python=additions.pip_tools)
    output = output or create.default_output(paths)
    tools = Tools(uv=include_uv, python=include_python or python_mirror is not None, mirror=python_mirror)
    if not replace:
        require_same_scripts(output, sources, cache)
    if upgrade_packages:
        sources = keeping(sources, output, upgrade_packages)
    anew = upgrade or bool(upgrade_packages)
    if not anew and create.up_to_date(output, sources, targets, tools):
        report(Progress(text=f"{output} is up to date; nothing to do (--upgrade looks for newer versions)"))
        return output
    with adopted(sources, cache) as notes:
        for note in notes:
            report(Progress(text=note))
        may_build = create.Builds(names=tuple(builds), everything=build_all)
        changed = _finish(create.build(sources, targets, output, cache, tools, may_build), report)
    if changed:
        report(Progress(text=f"Changed: {', '.join(changed)}"))
    elif anew:
        packages = ", ".join(upgrade_packages) or "any package"
        report(Progress(text=f"No newer version of {packages}: all versions in {output} stay"))
    return output


def publish(
    bundle: str | Path,
    store: str | Path,
    *,
    seen_at: str | None = None,
    strategy: str = "index",
    report: Report = silent,
) -> Path:
    """Verify `bundle` and publish it into `store`, which is made when absent; return the path of the publication.

    `seen_at` is the path at which evaluators see the store, `strategy` index, cache or environment.
    Raises `BundlerError`, `WheelhouseError`.
    """
    from bundler.publications import publication
    from bundler.publications.strategy import STRATEGIES
    from wheelhouse.store import open_store

    # Not resolved: a site may hand its evaluators the path by a link. But "..", which leads elsewhere there, must go.
    place = os.path.abspath(store)  # noqa: PTH100 - see above
    publication.require_bundle(Path(bundle))
    work = publication.publish(Path(bundle), open_store(Path(place)), seen_at or place, STRATEGIES[strategy])
    return _finish(work, report)


def verify(path: str | Path) -> Manifest:
    """Check every file of the bundle or publication `path` by its digest; return its manifest.

    Raises `DamagedError` with all faults at once, other `BundlerError`, `WheelhouseError`.
    """
    from bundler.bundles.verify import verify

    return verify(Path(path))


def inspect(path: str | Path) -> dict[str, Any]:
    """Return what is inside the bundle or publication `path`, as `bundler inspect --json` prints it; sizes in bytes.

    Raises `BundlerError`, `WheelhouseError`.
    """
    from bundler.bundles.inspection import summary
    from bundler.layout import EXEC_SCRIPT
    from bundler.manifest_reader import read_manifest
    from bundler.publications.strategy import read_strategy

    folder = Path(path)
    is_published = (folder / EXEC_SCRIPT).is_file()
    return summary(read_manifest(folder), read_strategy(folder).name if is_published else None)


def submit(
    client: Client,
    submission: Submission,
    *,
    name: str | None = None,
    replace: bool = False,
    force: bool = False,
    report: Report = silent,
) -> str:
    """Create an HPS project with the jobs of `submission`; return its id.

    `client` is what `connected` gives, `submission` what `compose` returns. With `replace`, projects of the same name
    are deleted once the new one is whole; with `force`, jobs are submitted for which there is nowhere to run.
    Raises `BundlerError`.
    """
    import secrets

    from bundler.hps import project
    from bundler.hps.resources import require_somewhere, survey

    name = name or f"{submission.publication} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {secrets.token_hex(2)}"
    try:
        require_somewhere(client, submission, survey(client))
    except BundlerError as fault:
        if not force:
            raise
        report(Progress(text=f"warning: {fault}"))
    identity = _finish(project.submit(client, submission, name, replace=replace), report)
    report(Progress(text=f"HPS project {name!r}, {len(submission.rows)} jobs: {project.page(client, identity)}"))
    return identity


def fetch(client: Client, project: str, folder: str | Path, *, report: Report = silent) -> tuple[int, Path]:
    """Download what the jobs of `project` left below `folder`; return the number of files, and the table of all jobs.

    What is there whole already is not downloaded again. Raises `BundlerError`.
    """
    from bundler.hps.results import fetch

    return _finish(fetch(client, project, Path(folder)), report)


def _finish(work: Generator[Progress, None, _T], report: Report) -> _T:
    """Do `work` to its end and return its result."""
    with contextlib.closing(work):  # an interrupt may come between two steps of it
        while True:
            try:
                progress = next(work)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
            report(progress)
