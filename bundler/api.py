"""The library: the functions behind the commands, for programs and notebooks.

Nothing is printed; `report` is called with progress, notes and warnings. Expected failures raise a `BundlerError` or
another `WheelhouseError`, whose text says what is wrong and what to do.
"""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.errors import BundlerError
from bundler.progress import Progress, Report, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansys.hps.client import Client

    from bundler.jobs.submission import Submission
    from bundler.manifest import Manifest
    from bundler.publications.approval import Policy


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
    sbom: bool = False,
    provenance: bool = False,
    attestations: bool = False,
    report: Report = silent,
) -> Path:
    """Bundle `inputs` for every combination of `pythons` and `platforms`; return the path of the bundle.

    The arguments are the options of the command `bundle`. If only pip is configured for an index, environment variables
    of this process are set during the call so that uv uses the same index. Raises `BundlerError` or `WheelhouseError`.
    """
    from bundler.bundles import create
    from bundler.bundles.origin import require_same_scripts
    from bundler.bundles.papers import Papers, has_papers
    from bundler.bundles.plan import Tools
    from bundler.bundles.site import adopted
    from bundler.bundles.targets import requested_targets
    from bundler.bundles.upgrade import keeping, keeping_all
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
            report(Progress(kind="warning", text=warning))
    targets = requested_targets(sources, pythons, platforms, own_python=additions.pip_tools)
    output = output or create.default_output(paths)
    tools = Tools(uv=include_uv, python=include_python or python_mirror is not None, mirror=python_mirror)
    if not replace:
        require_same_scripts(output, sources, cache)
    if upgrade_packages:
        sources = keeping(sources, output, upgrade_packages)
    upgrading = upgrade or bool(upgrade_packages)
    papers = Papers(sbom=sbom, provenance=provenance, attestations=attestations)
    is_current = not upgrading and create.up_to_date(output, sources, targets, tools)
    # The mirror may have other bytes for the same version of Python.
    if is_current and has_papers(output, papers) and python_mirror is None:
        report(Progress(kind="note", text=f"{output} is up to date (use --upgrade for newer versions)"))
        return output
    if is_current:
        sources = keeping_all(sources, output)
    with adopted(sources, cache) as site:
        for note in site.notes:
            report(Progress(kind="note", text=note))
        may_build = create.Builds(names=tuple(builds), everything=build_all)
        changed = create.build(
            sources, targets, output, cache, tools, may_build, papers, pooled=site.pooled, report=report
        )
    if changed:
        report(Progress(kind="note", text=f"Changed: {', '.join(changed)}"))
    elif upgrading:
        packages = ", ".join(upgrade_packages) or "any package"
        report(Progress(kind="note", text=f"No newer version of {packages}; all versions in {output} were kept"))
    return output


def publish(
    bundle: str | Path,
    store: str | Path,
    *,
    seen_at: str | None = None,
    strategy: str = "index",
    note: str = "",
    policy: Policy | None = None,
    report: Report = silent,
) -> Path:
    """Verify `bundle` and publish it to `store`, which is created if necessary; return the path of the publication.

    `seen_at` is the path of the store on the nodes if it differs; `strategy` is index, cache or environment,
    `note` a text for the history of the store, `policy` says whose signature is required. Raises `SignatureError`,
    `BundlerError` or `WheelhouseError`.
    """
    from bundler.publications import publication
    from bundler.publications.strategy import STRATEGIES
    from wheelhouse.creation import create_store

    # Links are kept, since nodes may see the store by the same link; ".." is removed, since it may differ there.
    root = os.path.abspath(store)  # noqa: PTH100 - Path.resolve() would follow links
    publication.require_bundle(Path(bundle))
    place = create_store(Path(root))
    chosen = STRATEGIES[strategy]
    return publication.publish(Path(bundle), place, seen_at or root, chosen, note, policy, report=report)


def publish_wheels(source: str | Path, store: str | Path, *, note: str = "", report: Report = silent) -> Path:
    """Publish all wheels below the folder, or in the zip file, `source` to `store`, which is created if necessary.

    Returns the path of the publication, which has no scripts; pip and uv find the wheels in the index of the store.
    `note` is a text for the history of the store. Raises `BundlerError` or `WheelhouseError`.
    """
    from bundler.publications.wheels import folder_of, publish_wheels
    from wheelhouse.creation import create_store

    place = create_store(Path(os.path.abspath(store)))  # noqa: PTH100 - as above
    path = Path(source)
    with folder_of(path, place.scratch) as folder:
        name = path.absolute().name.removesuffix(".zip")
        return publish_wheels(folder, place, note, name, report=report)


def pack(
    bundles: Sequence[str | Path],
    output: str | Path,
    *,
    since: str | Path | None = None,
    compress: bool = False,
    split: int | None = None,
    report: Report = silent,
) -> list[Path]:
    """Pack `bundles` into the archive `output` and return its path; "-" is standard output.

    With `since` (see `digests_of`), the archive is a delta: it leaves out the files that are known there. With
    `compress`, it is compressed with Zstandard. With `split`, it consists of parts of that many bytes, and the paths of
    all of them and of their list are returned. The same bundles give the same bytes. Raises `BundlerError` or
    `WheelhouseError`.
    """
    from bundler.bundles import archive, zstd
    from bundler.bundles.delta import digests_of
    from bundler.bundles.output import standard_output, writing

    paths, target = [Path(bundle) for bundle in bundles], Path(output)
    digests = digests_of(Path(since)) if since is not None else frozenset()
    archive.require_outside(target, paths)
    with contextlib.ExitStack() as stack:
        out, written = stack.enter_context(standard_output() if str(output) == "-" else writing(target, split))
        if compress:
            out = stack.enter_context(zstd.compressing(out))
        archive.pack(paths, out, digests, report=report)
    return written


def unpack(
    archive: str | Path | Sequence[str | Path],
    folder: str | Path = ".",
    *,
    base: str | Path | None = None,
    report: Report = silent,
) -> list[Path]:
    """Unpack the bundles in `archive` to `folder`; "-" is standard input. Return their paths.

    `archive` may be the parts of an archive, in any order. A delta takes what it leaves out from `base`: a bundle,
    publication or store. Every byte is verified, and no bundle appears before all are complete. Raises `BundlerError`
    or `WheelhouseError`.
    """
    from bundler.bundles import parts
    from bundler.bundles.arrival import unpack
    from bundler.bundles.delta import base_of

    paths = [Path(archive)] if isinstance(archive, str | Path) else [Path(part) for part in archive]
    base_files = base_of(Path(base) if base is not None else None)
    if [str(path) for path in paths] == ["-"]:
        return unpack(sys.stdin.buffer, Path("standard input"), Path(folder), base_files, report=report)
    with parts.opened(paths) as source:
        return unpack(source, paths[0], Path(folder), base_files, report=report)


def verify(path: str | Path) -> Manifest:
    """Compare every file of the bundle or publication `path` with its digest; return the manifest.

    Raises `DamagedError` with all missing, changed and foreign files, and `BundlerError` or `WheelhouseError`.
    """
    from bundler.bundles.verify import verify

    return verify(Path(path))


def inspect(path: str | Path) -> dict[str, Any]:
    """Return the contents of the bundle or publication `path` as `bundler inspect --json` prints them.

    Sizes are in bytes, times in seconds. Raises `BundlerError` or `WheelhouseError`.
    """
    from bundler.bundles.inspection import summary
    from bundler.bundles.job_settings import read_job_settings
    from bundler.layout import EXEC_SCRIPT
    from bundler.manifest_reader import read_manifest
    from bundler.publications.strategy import read_strategy

    folder = Path(path)
    is_published = (folder / EXEC_SCRIPT).is_file()
    manifest = read_manifest(folder)
    jobs = read_job_settings(folder, manifest, [script.name for script in manifest.scripts])
    return summary(manifest, jobs, read_strategy(folder).name if is_published else None)


def submit(
    client: Client,
    submission: Submission,
    *,
    name: str | None = None,
    replace: bool = False,
    force: bool = False,
    report: Report = silent,
) -> str:
    """Create an HPS project with the jobs of `submission`; return its ID.

    `client` comes from `connected`, `submission` from `compose`. With `replace`, other projects of the same name
    are deleted once the new one is complete; with `force`, jobs are submitted even if no evaluator can run them.
    Raises `BundlerError`.
    """
    import secrets

    from bundler.hps import project
    from bundler.hps.resources import require_somewhere, survey
    from bundler.publications.leases import leave
    from bundler.units import counted

    name = name or f"{submission.publication} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {secrets.token_hex(2)}"
    try:
        require_somewhere(client, submission, survey(client))
    except BundlerError as error:
        if not force:
            raise
        report(Progress(kind="warning", text=str(error)))
    identity = project.submit(client, submission, name, replace=replace, report=report)
    if submission.folder is not None:
        leave(submission.folder, identity)
    count = counted(len(submission.jobs), "job")
    report(Progress(kind="note", text=f"Submitted {count} as HPS project {name!r}: {project.page(client, identity)}"))
    return identity


def fetch(
    client: Client,
    project: str,
    folder: str | Path,
    *,
    jobs: Sequence[str] = (),
    failed: bool = False,
    report: Report = silent,
) -> tuple[int, Path]:
    """Download the outputs of the jobs of `project` to `folder`; return the number of files and the table of all jobs.

    With `jobs` (names) or `failed`, only the outputs of these jobs are downloaded. Files that are already complete
    are skipped. Raises `BundlerError`.
    """
    from bundler.hps.results import fetch

    return fetch(client, project, Path(folder), jobs, failed=failed, report=report)
