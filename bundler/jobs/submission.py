"""Describe jobs for HPS: steps, files and parameters, from a publication, its scripts and options."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, abc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from bundler.bundle_folder import Bundle, open_bundle
from bundler.bundles.job_settings import read_job_settings
from bundler.errors import BundlerError, DamagedError, JobError
from bundler.jobs import sweep
from bundler.jobs.job import Job, split_rows
from bundler.jobs.options import Options, choose_steps, override
from bundler.jobs.step import Step, step_of, writers_before
from bundler.jobs.sweep import Row
from bundler.layout import EXEC_SCRIPT, SUMS
from bundler.manifest import Manifest
from bundler.path_kinds import mismatch
from bundler.publications.aliases import pinned
from bundler.publications.approval import Policy, signed_later, trusts
from bundler.publications.authenticity import genuine_script, require_approved
from bundler.publications.execution import stating
from bundler.publications.strategy import read_strategy
from bundler.sources.fitness import Fitness
from bundler.sources.mappings import Mapping, problems_of
from bundler.sources.parameters import Parameter
from bundler.sources.tool_table import Settings
from bundler.suggestions import did_you_mean
from bundler.trust.signature import Approval
from bundler.trust.ssh_keygen import Trust
from bundler.units import counted
from wheelhouse import files
from wheelhouse.store.store import Store

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
    files: abc.Mapping[str, Path]
    parameters: tuple[Parameter, ...]
    output_parameters: tuple[Parameter, ...]
    jobs: Sequence[Job]
    mappings: tuple[Mapping, ...] = ()
    priority: int | None = None
    fitness: Fitness | None = None
    folder: Path | None = None
    approved: tuple[Approval, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def platform(self) -> str | None:
        """The platform that jobs require, by its name in HPS; None if the targets have several."""
        return self.platforms[0] if len(self.platforms) == 1 else None

    def software_of(self, step: Step) -> list[tuple[str, str]]:
        """Return the name of each application that `step` needs, and its version, "" if any will do."""
        texts = list(step.software)
        if self.application:
            texts.insert(0, self.application)
        software = []
        for text in texts:
            name, _, version = text.partition("=")
            software.append((name, version))
        return software


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
    bundle = open_bundle(publication, "publication")
    manifest = bundle.manifest
    if not manifest.scripts:
        raise JobError(
            f"{publication} contains wheels and no script", hint="name the publication of a bundle"
        )
    approved = require_approved(publication, Policy(trust=trust))
    warnings = tuple(_newer(publication, manifest, approved, trust))
    chosen = choose_steps(publication.name, manifest, options.scripts)
    scripts = [script for _, script in chosen]
    settings = override(chosen, read_job_settings(bundle, scripts), options)
    application = _application(publication, manifest, settings)
    inputs = _input_names(settings, options.inputs)
    steps = _steps(manifest, chosen, settings, tuple(inputs))
    declared = _merged(about.parameters for about in settings)
    rows, jobs = split_rows(rows, _needed(steps), declared, folder)
    if not declared:
        warnings += tuple(_not_mentioned(bundle, rows, scripts))
    output_parameters = _merged(about.output_parameters for about in settings)
    mappings = _mappings(settings)
    exec_script = _exec_script(publication, approved)
    parameters: list[Parameter] = []
    if values:
        parameters = sweep.parameters(rows, declared.values())
        jobs = _with_values(jobs, rows, parameters)
        _require_files(steps, inputs, jobs)
        _require_places(mappings, steps, [*parameters, *output_parameters.values()])
    platforms = {PLATFORMS[target.system] for target in manifest.targets}
    return Submission(
        publication=publication.name,
        folder=publication,
        exec_script=exec_script,
        approved=tuple(approved),
        warnings=warnings,
        platforms=tuple(sorted(platforms)),
        application=application,
        steps=tuple(steps),
        files=inputs if values else {},
        parameters=tuple(parameters),
        output_parameters=tuple(output_parameters.values()),
        mappings=mappings,
        jobs=jobs,
        priority=_first(settings, "priority"),
        fitness=_first(settings, "fitness"),
    )


def _newer(
    publication: Path,
    manifest: Manifest,
    approved: Sequence[Approval],
    trust: Trust | None,
) -> Iterator[str]:
    """Yield a warning if a newer bundle is published: somebody may have moved the alias back."""
    store = Store(publication.absolute().parent.parent)
    for approval, each in zip(approved, trusts(store, Policy(trust=trust)), strict=True):
        later = signed_later(manifest, approval, store, each)
        if later:
            yield (
                f"{publication.name} was signed at {approval.signed}, before {later}\n"
                "hint: submit the newer one, unless you want this one; `bundler store log` says who moved an alias"
            )


def _needed(steps: Sequence[Step]) -> dict[str, None]:
    """Return the input files of all `steps`, each once."""
    needed: dict[str, None] = {}
    for step in steps:
        needed.update(dict.fromkeys(step.inputs))
    return needed


def _with_values(
    jobs: Sequence[Job], rows: Sequence[Row], parameters: Sequence[Parameter]
) -> list[Job]:
    """Return `jobs` with the values of their `rows`, and defaults."""
    complete = sweep.complete(rows, {parameter.name: parameter for parameter in parameters})
    return [replace(job, values=row) for job, row in zip(jobs, complete, strict=True)]


def _not_mentioned(bundle: Bundle, rows: Sequence[Row], scripts: Sequence[str]) -> Iterator[str]:
    """Yield a warning for each parameter in `rows` whose name none of `scripts`, which declare none, contains."""
    names = dict.fromkeys(name for row in rows for name in row)
    if not names:
        return
    words: set[str] = set()
    for script in scripts:
        text = files.read_plain(bundle.script(script), files.LARGEST_INPUT).decode(errors="replace")
        words.update(re.findall(r"\w+", text))
    for name in names:
        if name not in words and name.isidentifier():
            near = did_you_mean(name, words)
            hint = near or "the script reads input_parameters.json; see `bundler guide scripts`"
            yield f"no script contains the name of the parameter {name}\nhint: {hint}"


def _application(
    publication: Path,
    manifest: Manifest,
    settings: Sequence[Settings],
) -> str | None:
    """Return the application that nodes must have, or None if they need none: the setting "none" says so, too.

    By default that is uv, unless the publication includes everything.
    """
    chosen: str | None = _first(settings, "application")
    if chosen == "none":
        return None
    if chosen:
        return chosen
    if read_strategy(publication).self_contained or all(target.uv for target in manifest.targets):
        return None
    return APPLICATION


def _first(settings: Sequence[Settings], key: str) -> Any:
    """Return the value of `key` of the first script that sets it, or None."""
    for about in settings:
        value = getattr(about, key)
        if value is not None:
            return value
    return None


def _input_names(settings: Sequence[Settings], inputs: Sequence[Path]) -> dict[str, Path]:
    """Return input files by the path in the folder of a job: the path that a script declares, or the file name.

    Raises `JobError` if two files would have the same path.
    """
    declared: dict[str, str] = {}
    for about in settings:
        declared.update((PurePosixPath(name).name, name) for name in about.inputs)
    result: dict[str, Path] = {}
    for path in inputs:
        name = declared.get(path.name, path.name)
        if name in result:
            raise JobError(
                f"{result[name]} and {path} would both become {name} in the job",
                hint="rename one of them",
            )
        result[name] = path
    return result


def _steps(
    manifest: Manifest,
    chosen: Sequence[tuple[str, str]],
    settings: Sequence[Settings],
    inputs: Sequence[str],
) -> list[Step]:
    """Return the steps `chosen`, each a name and a script, in the order in which they run."""
    several = len(manifest.scripts) > 1
    steps = []
    for level, ((name, script), about) in enumerate(zip(chosen, settings, strict=True)):
        disk = _disk(manifest, script)
        step = step_of(name, script, about, inputs, disk, level, several=several)
        steps.append(step)
    steps.sort(key=lambda step: step.level)
    return steps


def _disk(manifest: Manifest, script: str) -> int:
    """Return the bytes of disk space that `script` needs on a cold node."""
    sizes = {file.filename: file.size for file in manifest.wheels}
    largest = 0
    for target in manifest.targets:
        wheels = sum(sizes[name] for name in target.wheels[script])
        largest = max(largest, wheels)
    return largest * _UNPACKED + _ROOM


def _merged(declarations: Iterable[Sequence[Parameter]]) -> dict[str, Parameter]:
    """Return the parameters of all scripts by name. Raises `JobError` if two scripts declare one differently."""
    result: dict[str, Parameter] = {}
    for parameters in declarations:
        for parameter in parameters:
            name = parameter.name
            if result.setdefault(name, parameter) != parameter:
                raise JobError(
                    f"two scripts declare the parameter {name} differently", hint="declare it once"
                )
    return result


def _mappings(settings: Sequence[Settings]) -> tuple[Mapping, ...]:
    """Return the parameter mappings of all steps, each once."""
    mappings: dict[Mapping, None] = {}
    for about in settings:
        mappings.update(dict.fromkeys(about.parameter_mappings))
    return tuple(mappings)


def _require_places(
    mappings: Sequence[Mapping],
    steps: Sequence[Step],
    parameters: Sequence[Parameter],
) -> None:
    """Raise `JobError` for `mappings` of parameters or files that no step has."""
    names: set[str] = set()
    for step in steps:
        names.update(step.inputs, step.products)
    problems = problems_of(mappings, parameters, sorted(names))
    if problems:
        raise JobError("; ".join(problems), hint="declare it, or correct the mapping")


def _exec_script(publication: Path, approved: Sequence[Approval]) -> bytes:
    """Return the execution script, which states who `approved` it.

    Without signatures, raises `DamagedError` unless its digest is in SHA256SUMS.
    """
    if approved:
        return stating(genuine_script(publication, approved[0]), approved)
    path = publication / EXEC_SCRIPT
    if not path.is_file():
        fact, hint = mismatch(publication, "publication")
        raise BundlerError(f"{publication} {fact}", hint=hint)
    with files.explained(path):
        data = files.read_plain(path, _LARGEST_SCRIPT)
        sums = files.read_plain(publication / SUMS, _LARGEST_SUMS).decode(errors="replace")
    digest = hashlib.sha256(data).hexdigest()
    if f"{digest}  {EXEC_SCRIPT}" not in sums.splitlines():
        raise DamagedError(publication, [], [EXEC_SCRIPT], [])
    return data


def _require_files(
    steps: Sequence[Step],
    inputs: abc.Mapping[str, Path],
    jobs: Sequence[Job],
) -> None:
    """Raise `JobError` for input files that are neither given nor produced by an earlier step."""
    problems = [f"{path} is not a readable file" for path in inputs.values() if not path.is_file()]
    jobs_with: Counter[str] = Counter()
    for job in jobs:
        jobs_with.update(list(job.files))
    for step in steps:
        writers = writers_before(step, steps)
        for name in step.inputs:
            given = jobs_with[name]
            if name in writers:
                if given:
                    writer = writers[name].title
                    problems.append(
                        f"{name} is written by {writer}, so it cannot be an input file of a job"
                    )
                continue
            if name in inputs or given == len(jobs):
                continue
            if given:
                problems.append(f"{name} has no file in {counted(len(jobs) - given, 'job')}")
            else:
                problems.append(f"{step.title} needs {name}")
    if problems:
        raise JobError(
            "input files are missing or contradictory",
            facts=problems,
            hint="give them with --input or a column of --params, or let an earlier step write them",
        )
