"""The library: the functions behind the commands, for programs and notebooks.

Nothing is printed; `report` is called with progress, notes and warnings. Expected failures raise a `BundlerError` or
another `WheelhouseError`, whose text says what is wrong and what to do.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.cache import cache_folder
from bundler.errors import BundlerError
from bundler.lazily import lazily
from bundler.progress import Progress, Report, silent
from bundler.units import counted

if TYPE_CHECKING:
    from ansys.hps.client import Client

with lazily():
    from bundler import bundle_folder, manifest as manifests
    from bundler.bundles import (
        archive as bundle_archive,
        create,
        delta,
        documents as bundle_documents,
        inputs as bundle_inputs,
        inspection,
        job_settings,
        network,
        output as bundle_output,
        parts,
        plan,
        targets as bundle_targets,
        unpacking,
        upgrade as bundle_upgrade,
        verify as bundle_verify,
        zstd,
    )
    from bundler.hps import (
        capacity,
        errors as hps_errors,
        project as hps_project,
        resources,
        results,
    )
    from bundler.jobs import submission as job_submission
    from bundler.publications import (
        approval,
        leases,
        publication,
        strategy as publication_strategy,
        wheels,
    )
    from bundler.sources import additions as source_additions, reader, source
    from wheelhouse.store import creation


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
    paths, cache = [Path(path) for path in inputs], cache_folder()
    additions = source_additions.Additions(
        requirements=tuple(requirements),
        constraints=_requirements_in(constraints),
        overrides=_requirements_in(overrides),
        resolver=source_additions.Resolver(resolver),
        locked=locked,
    )
    sources = _read(paths, additions, report)
    chosen = bundle_targets.requested_targets(
        sources, pythons, platforms, own_python=additions.pip_tools
    )
    output = output or create.default_output(paths)
    has_python = include_python or python_mirror is not None
    tools = plan.Tools(uv=include_uv, python=has_python, mirror=python_mirror)
    documents = bundle_documents.Documents(
        sbom=sbom, provenance=provenance, attestations=attestations
    )
    if not replace:
        bundle_inputs.require_nothing_lost(output, sources, chosen.targets, cache)
    if upgrade_packages:
        sources = bundle_upgrade.keeping(sources, output, upgrade_packages)
    elif not upgrade and create.up_to_date(output, sources, chosen.targets, tools):
        # The mirror may have other bytes for the same version of Python.
        if python_mirror is None and bundle_documents.has_documents(output, documents):
            text = f"{output} is up to date (use --upgrade for newer versions)"
            report(Progress(kind="note", text=text))
            return output
        sources = bundle_upgrade.keeping_all(sources, output)
    if chosen.note:
        report(Progress(kind="note", text=chosen.note))
    with network.adopted(sources, cache) as site:
        for note in site.notes:
            report(Progress(kind="note", text=note))
        changed = create.build(
            sources,
            chosen.targets,
            output,
            cache,
            tools,
            create.Builds(names=tuple(builds), everything=build_all),
            documents,
            pooled=site.pooled,
            report=report,
        )
    if changed:
        report(Progress(kind="note", text=f"Changed: {', '.join(changed)}"))
    elif upgrade or upgrade_packages:
        packages = ", ".join(upgrade_packages) or "any package"
        text = f"No newer version of {packages}; all versions in {output} were kept"
        report(Progress(kind="note", text=text))
    return output


def _read(
    paths: Sequence[Path], additions: source_additions.Additions, report: Report
) -> list[source.Source]:
    """Return the sources in `paths`, and report what users may not expect of them."""
    sources = reader.read_sources(paths, additions)
    for each in sources:
        for warning in each.warnings():
            report(Progress(kind="warning", text=warning))
    return sources


def _requirements_in(paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(line for path in paths for line in source_additions.requirement_lines(path))


def publish(
    bundle: str | Path,
    store: str | Path,
    *,
    seen_at: str | None = None,
    strategy: str = "index",
    note: str = "",
    policy: approval.Policy | None = None,
    report: Report = silent,
) -> Path:
    """Verify `bundle` and publish it to `store`, which is created if necessary; return the path of the publication.

    `seen_at` is the path of the store on the nodes if it differs; `strategy` is index, cache or environment,
    `note` a text for the history of the store, `policy` says whose signature is required. Raises `SignatureError`,
    `BundlerError` or `WheelhouseError`.
    """
    # Links are kept, since nodes may see the store by the same link; ".." is removed, since it may differ there.
    root = os.path.abspath(store)  # noqa: PTH100 - Path.resolve() would follow links
    publication.require_bundle(Path(bundle))
    place = creation.create_store(Path(root))
    chosen = publication_strategy.STRATEGIES[strategy]
    return publication.publish(
        Path(bundle), place, seen_at or root, chosen, note, policy, report=report
    )


def publish_wheels(
    source: str | Path, store: str | Path, *, note: str = "", report: Report = silent
) -> Path:
    """Publish all wheels below the folder, or in the zip file, `source` to `store`, which is created if necessary.

    Returns the path of the publication, which has no scripts; pip and uv find the wheels in the index of the store.
    `note` is a text for the history of the store. Raises `BundlerError` or `WheelhouseError`.
    """
    place = creation.create_store(Path(os.path.abspath(store)))  # noqa: PTH100 - as above
    path = Path(source)
    with wheels.folder_of(path, place.scratch) as folder:
        name = path.absolute().name.removesuffix(".zip")
        return wheels.publish_wheels(folder, place, note, name, report=report)


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
    paths, target = [Path(bundle) for bundle in bundles], Path(output)
    digests = delta.digests_of(Path(since)) if since is not None else frozenset()
    bundle_archive.require_outside(target, paths)
    with contextlib.ExitStack() as stack:
        out, written = stack.enter_context(
            bundle_output.standard_output()
            if str(output) == "-"
            else bundle_output.writing(target, split)
        )
        if compress:
            out = stack.enter_context(zstd.compressing(out))
        bundle_archive.pack(paths, out, digests, report=report)
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
    paths = [Path(archive)] if isinstance(archive, str | Path) else [Path(part) for part in archive]
    base_files = delta.base_of(Path(base) if base is not None else None)
    if [str(path) for path in paths] == ["-"]:
        return unpacking.unpack(
            sys.stdin.buffer, Path("standard input"), Path(folder), base_files, report=report
        )
    with parts.opened(paths) as source:
        return unpacking.unpack(source, paths[0], Path(folder), base_files, report=report)


def verify(path: str | Path) -> manifests.Manifest:
    """Compare every file of the bundle or publication `path` with its digest; return the manifest.

    Raises `DamagedError` with all missing, changed and foreign files, and `BundlerError` or `WheelhouseError`.
    """
    return bundle_verify.verify(Path(path)).manifest


def inspect(path: str | Path) -> dict[str, Any]:
    """Return the contents of the bundle or publication `path` as `bundler inspect --json` prints them.

    Sizes are in bytes, times in seconds. Raises `BundlerError` or `WheelhouseError`.
    """
    bundle = bundle_folder.open_bundle(Path(path))
    jobs = job_settings.read_job_settings(
        bundle, [script.name for script in bundle.manifest.scripts]
    )
    strategy = (
        publication_strategy.read_strategy(bundle.folder).name if bundle.is_published else None
    )
    return inspection.summary(bundle.manifest, jobs, strategy)


def submit(
    client: Client,
    submission: job_submission.Submission,
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
    name = (
        name
        or f"{submission.publication} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {secrets.token_hex(2)}"
    )
    try:
        capacity.require_somewhere(client, submission, resources.survey(client))
    except BundlerError as error:
        # Who may submit may not always see the evaluators.
        is_forbidden = (
            isinstance(error, hps_errors.HpsError) and error.status == HTTPStatus.FORBIDDEN
        )
        if not force and not is_forbidden:
            raise
        report(Progress(kind="warning", text=str(error)))
    identity = hps_project.submit(client, submission, name, replace=replace, report=report)
    if submission.folder is not None:
        leases.leave(submission.folder, identity)
    count = counted(len(submission.jobs), "job")
    report(
        Progress(
            kind="note",
            text=f"Submitted {count} as HPS project {name!r}: {hps_project.page(client, identity)}",
        )
    )
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
    return results.fetch(client, project, Path(folder), jobs, failed=failed, report=report)
