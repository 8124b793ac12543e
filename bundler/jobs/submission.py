"""Describe jobs for HPS: steps, files and parameters, from a publication, its scripts and options."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from bundler.bundle_folder import Bundle
from bundler.bundles.job_settings import read_job_settings
from bundler.errors import BundlerError, DamagedError, JobError
from bundler.jobs import sweep
from bundler.jobs.job import Job, split_rows
from bundler.jobs.options import Options, override
from bundler.jobs.step import Step, step_of
from bundler.jobs.sweep import Row
from bundler.layout import EXEC_SCRIPT, SUMS
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.publications.aliases import pinned
from bundler.publications.approval import Policy, signed_later, trusts
from bundler.publications.authenticity import genuine_script, require_approved
from bundler.publications.execution import stating
from bundler.publications.strategy import read_strategy
from bundler.sources.fitness import Fitness
from bundler.sources.parameters import Parameter
from bundler.sources.tool_table import Settings
from bundler.trust.signature import Approval
from bundler.trust.ssh_keygen import Trust
from bundler.units import counted
from wheelhouse import files
from wheelhouse.store import Store

_Value = TypeVar("_Value")
_NO_OPTIONS = Options()
APPLICATION = "uv"
PLATFORMS = {"Linux": "linux", "Windows": "windows", "Darwin": "darwin"}
# Installed wheels take about four times their size; the rest is for the output of the script.
_UNPACKED = 4
_ROOM = 64 << 20
# Bytes; publications have no larger files.
_LARGEST_SCRIPT, _LARGEST_SUMS = 16 << 20, 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Jobs to submit: each runs `steps` with its values of `parameters`; `files` are the inputs of all jobs by name.

    `publication` is the name of the publication in `folder`, `approved` are the signatures that were required.
    """

    publication: str
    exec_script: bytes
    platforms: tuple[str, ...]
    application: str | None
    steps: tuple[Step, ...]
    files: Mapping[str, Path]
    parameters: tuple[Parameter, ...]
    output_parameters: tuple[Parameter, ...]
    jobs: Sequence[Job]
    priority: int | None = None
    fitness: Fitness | None = None
    folder: Path | None = None
    approved: tuple[Approval, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def platform(self) -> str | None:
        """The platform that jobs require, by its name in HPS; None if the targets have several."""
        return self.platforms[0] if len(self.platforms) == 1 else None


def needed_application(publication: Path, manifest: Manifest) -> str | None:
    """Return the application that nodes must have: uv, or None if the publication includes everything."""
    carried = read_strategy(publication).self_contained or all(target.uv for target in manifest.targets)
    return None if carried else APPLICATION


def compose(
    publication: Path,
    rows: Sequence[Row],
    options: Options = _NO_OPTIONS,
    *,
    folder: Path = Path(),
    values: bool = True,
    trust: Trust | None = None,
) -> Submission:
    """Return the jobs that run the scripts of `publication` with each of `rows`; without `values`, their needs only.

    An alias stands for the publication that it points to now. Relative paths of input files in `rows` start at
    `folder`. The signatures that `trust` and the store require are checked. Raises `SignatureError`, `BundlerError`,
    `DamagedError`, `ScriptError`, `JobError`, `SweepError`, `CombinedError`.
    """
    publication = pinned(publication)
    manifest = read_manifest(publication, "publication")
    if not manifest.scripts:
        raise JobError(f"{publication} contains wheels and no script", hint="name the publication of a bundle")
    approved = require_approved(publication, Policy(trust=trust))
    warnings = tuple(_newer(publication, manifest, approved, trust))
    names = options.scripts or tuple(script.name for script in manifest.scripts)
    existing = {script.name for script in manifest.scripts}
    if set(names) - existing:
        raise JobError(
            f"{publication.name} has no script {', '.join(sorted(set(names) - existing))}",
            hint=f"its scripts are {', '.join(sorted(existing))}",
        )
    bundle = Bundle(folder=publication, manifest=manifest)
    settings = override(names, read_job_settings(bundle, names), options)
    application = _first(entry.application for entry in settings) or needed_application(publication, manifest)
    several = len(manifest.scripts) > 1
    inputs = _input_names(settings, options.inputs)
    steps = [
        step_of(name, about, tuple(inputs), _disk(manifest, name), level, several=several)
        for level, (name, about) in enumerate(zip(names, settings, strict=True))
    ]
    steps.sort(key=lambda step: step.level)
    declared = _merged([parameter for about in settings for parameter in about.parameters])
    needed = dict.fromkeys(name for step in steps for name in step.inputs)
    rows, jobs = split_rows(rows, needed, {parameter.name for parameter in declared}, folder)
    parameters = sweep.parameters(rows, declared) if values else []
    complete = sweep.complete(rows, {parameter.name: parameter for parameter in parameters})
    jobs = [replace(job, values=row) for job, row in zip(jobs, complete, strict=True)]
    return Submission(
        publication=publication.name,
        folder=publication,
        exec_script=stating(genuine_script(publication, approved[0]), approved)
        if approved
        else _exec_script(publication),
        approved=tuple(approved),
        warnings=warnings,
        platforms=tuple(sorted({PLATFORMS[target.system] for target in manifest.targets})),
        application=None if application == "none" else application,
        steps=tuple(steps),
        files=_files(steps, inputs, jobs) if values else {},
        parameters=tuple(parameters),
        output_parameters=_merged([parameter for about in settings for parameter in about.output_parameters]),
        jobs=jobs,
        priority=_first(entry.priority for entry in settings),
        fitness=_first(entry.fitness for entry in settings),
    )


def _first(values: Iterable[_Value | None]) -> _Value | None:
    return next((value for value in values if value is not None), None)


def _newer(publication: Path, manifest: Manifest, approved: Sequence[Approval], trust: Trust | None) -> Iterator[str]:
    """Yield a warning if a newer bundle is published: somebody may have moved the alias back."""
    store = Store(publication.absolute().parent.parent)
    for approval, each in zip(approved, trusts(store, Policy(trust=trust)), strict=True):
        if later := signed_later(manifest, approval, store, each):
            yield (
                f"{publication.name} was signed at {approval.signed}, before {later}\n"
                "hint: submit the newer one, unless you want this one; `bundler store log` says who moved an alias"
            )


def _exec_script(publication: Path) -> bytes:
    """Return the execution script. Raises `DamagedError` unless its digest is in SHA256SUMS."""
    path = publication / EXEC_SCRIPT
    if not path.is_file():
        raise BundlerError(
            f"{publication} is a bundle, not a publication",
            hint=f"publish it first: publish-index STORE {publication}",
        )
    with files.explained(path):
        data = files.read_plain(path, _LARGEST_SCRIPT)
        sums = files.read_plain(publication / SUMS, _LARGEST_SUMS).decode(errors="replace")
    if f"{hashlib.sha256(data).hexdigest()}  {EXEC_SCRIPT}" not in sums.splitlines():
        raise DamagedError(publication, [], [EXEC_SCRIPT], [])
    return data


def _disk(manifest: Manifest, script: str) -> int:
    """Return the bytes of disk space that `script` needs on a cold node."""
    sizes = {file.path: file.size for file in manifest.files}
    wheels = [sum(sizes[f"wheels/{name}"] for name in target.wheels[script]) for target in manifest.targets]
    return max(wheels) * _UNPACKED + _ROOM


def _merged(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return each parameter once. Raises `JobError` if two scripts declare it differently."""
    result: dict[str, Parameter] = {}
    for parameter in parameters:
        if result.setdefault(parameter.name, parameter) != parameter:
            raise JobError(f"two scripts declare the parameter {parameter.name} differently", hint="declare it once")
    return tuple(result.values())


def _input_names(settings: Sequence[Settings], inputs: Sequence[Path]) -> dict[str, Path]:
    """Return input files by the path in the folder of a job: the path that a script declares, or the file name.

    Raises `JobError` if two files would have the same path.
    """
    declared = {PurePosixPath(name).name: name for about in settings for name in about.inputs}
    result: dict[str, Path] = {}
    for path in inputs:
        name = declared.get(path.name, path.name)
        if name in result:
            raise JobError(f"{result[name]} and {path} would both become {name} in the job", hint="rename one of them")
        result[name] = path
    return result


def _files(steps: Sequence[Step], inputs: Mapping[str, Path], jobs: Sequence[Job]) -> dict[str, Path]:
    """Return the input files of all jobs. Raises `JobError` for files that nobody gives and no earlier step writes."""
    errors = [f"{path} is not a readable file" for path in inputs.values() if not path.is_file()]
    own = Counter(name for job in jobs for name in job.files)
    for step in steps:
        produced = {name: other for other in steps if other.level < step.level for name in other.products}
        for name in step.inputs:
            if name in produced and name in own:
                errors.append(f"{name} is written by {produced[name].script}, so it cannot be an input file of a job")
            elif name not in {*produced, *inputs} and own[name] < len(jobs):
                rest = len(jobs) - own[name]
                some = f"{name} has no file in {counted(rest, 'job')}"
                errors.append(some if own[name] else f"{step.script} needs {name}")
    if errors:
        hint = "give them with --input or a column of --params, or let an earlier step write them"
        raise JobError("input files are missing or contradictory", facts=errors, hint=hint)
    return dict(inputs)
