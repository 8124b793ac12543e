"""Describe jobs for HPS: steps, files and parameters, from a publication, its scripts and options."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from bundler.bundles.job_settings import read_job_settings
from bundler.errors import BundlerError, DamagedError, JobError
from bundler.jobs import sweep
from bundler.layout import EXEC_SCRIPT, SUMS
from bundler.manifest_reader import read_manifest
from bundler.publications.strategy import read_strategy
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.jobs.sweep import Row
    from bundler.manifest import Manifest
    from bundler.sources.parameters import Parameter
    from bundler.sources.tool_table import Settings

APPLICATION = "uv"
PLATFORMS = {"Linux": "linux", "Windows": "windows", "Darwin": "darwin"}
# Installed wheels take about four times their size; the rest is for the output of the script.
_UNPACKED = 4
_ROOM = 64 << 20
# Bytes; publications have no larger files.
_LARGEST_SCRIPT, _LARGEST_SUMS = 16 << 20, 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options that override `[tool.bundler]`, in the same units; None if not set."""

    scripts: tuple[str, ...] = ()
    application: str | None = None
    software: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    outputs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: float | None = None
    memory: int | None = None
    disk: int | None = None
    timeout: float | None = None
    trials: int | None = None
    priority: int | None = None
    compute_resource_set: str | None = None
    queue: str | None = None
    exclusive: bool | None = None
    cores_per_node: int | None = None
    gpus_per_node: int | None = None
    native_submit_options: str | None = None


_NO_OPTIONS = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """Where a task may run, and what its job scheduler is told; None leaves it to HPS."""

    compute_resource_set: str | None = None
    distributed: bool | None = None
    queue: str | None = None
    exclusive: bool | None = None
    cores_per_node: int | None = None
    gpus_per_node: int | None = None
    use_local_scratch: bool | None = None
    native_submit_options: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A task of each job: a script, its inputs and outputs; `memory` and `disk` in bytes, `timeout` in seconds.

    `software` are names, with "=VERSION" if a version is required.
    """

    script: str
    environment: Mapping[str, str]
    software: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    optional_outputs: tuple[str, ...]
    cores: float
    memory: int | None
    disk: int
    timeout: float | None
    trials: int
    monitor: tuple[str, ...] = ()
    execution_context: Mapping[str, object] = field(default_factory=dict)
    debug: bool | None = None
    working_directory: str | None = None
    scheduling: Scheduling = Scheduling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Jobs to submit: each runs `steps` with one of `rows`, the values of `parameters`; `files` are inputs by name."""

    publication: str
    exec_script: bytes
    platforms: tuple[str, ...]
    application: str | None
    steps: tuple[Step, ...]
    files: Mapping[str, Path]
    parameters: tuple[Parameter, ...]
    output_parameters: tuple[Parameter, ...]
    rows: Sequence[Row]
    priority: int | None = None

    @property
    def platform(self) -> str | None:
        """The platform that jobs require, by its name in HPS; None if the targets have several."""
        return self.platforms[0] if len(self.platforms) == 1 else None


def needed_application(publication: Path, manifest: Manifest) -> str | None:
    """Return the application that nodes must have: uv, or None if the publication includes everything."""
    carried = read_strategy(publication).self_contained or all(target.uv for target in manifest.targets)
    return None if carried else APPLICATION


def compose(
    publication: Path, rows: Sequence[Row], options: Options = _NO_OPTIONS, *, values: bool = True
) -> Submission:
    """Return the jobs that run the scripts of `publication` with each of `rows`; without `values`, their needs only.

    Raises `BundlerError`, `DamagedError`, `ScriptError`, `JobError`, `SweepError`, `CombinedError`.
    """
    manifest = read_manifest(publication, "publication")
    names = options.scripts or tuple(script.name for script in manifest.scripts)
    existing = {script.name for script in manifest.scripts}
    if set(names) - existing:
        raise JobError(
            f"{publication.name} has no script {', '.join(sorted(set(names) - existing))}",
            hint=f"its scripts are {', '.join(sorted(existing))}",
        )
    settings = read_job_settings(publication, manifest, names)
    application = next((entry.application for entry in settings if entry.application), None)
    application = options.application or application or needed_application(publication, manifest)
    application = None if application == "none" else application
    several = len(manifest.scripts) > 1
    inputs = _input_names(settings, options.inputs)
    steps = tuple(
        _step(name, about, options, tuple(inputs), _disk(manifest, name), several=several)
        for name, about in zip(names, settings, strict=True)
    )
    declared = _merged([parameter for about in settings for parameter in about.parameters])
    parameters = sweep.parameters(rows, declared) if values else []
    return Submission(
        publication=publication.name,
        exec_script=_exec_script(publication),
        platforms=tuple(sorted({PLATFORMS[target.system] for target in manifest.targets})),
        application=application,
        steps=steps,
        files=_files(steps, inputs) if values else {},
        parameters=tuple(parameters),
        output_parameters=_merged([parameter for about in settings for parameter in about.output_parameters]),
        rows=sweep.complete(rows, {parameter.name: parameter for parameter in parameters}),
        priority=options.priority or next((entry.priority for entry in settings if entry.priority), None),
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


def _step(
    name: str, about: Settings, options: Options, given_inputs: tuple[str, ...], disk: int, *, several: bool
) -> Step:
    def chosen(key: str, otherwise: Any) -> Any:
        override = getattr(options, key, None)
        value = getattr(about, key)
        return override if override is not None else value if value is not None else otherwise

    return Step(
        script=name,
        environment={
            **about.environment,
            **({"BUNDLER_ARGUMENTS": json.dumps(about.arguments)} if about.arguments else {}),
            **options.environment,
            **({"BUNDLER_SCRIPT": name} if several else {}),
        },
        software=(*about.software, *options.software),
        inputs=tuple(dict.fromkeys((*about.inputs, *given_inputs))),
        outputs=tuple(dict.fromkeys((*about.outputs, *options.outputs))),
        optional_outputs=about.optional_outputs,
        cores=chosen("cores", 1),
        memory=chosen("memory", None),
        disk=chosen("disk", disk),
        timeout=chosen("timeout", None),
        trials=chosen("trials", 1),
        monitor=about.monitor,
        execution_context=about.execution_context,
        debug=about.debug,
        working_directory=about.working_directory,
        scheduling=Scheduling(**{item.name: chosen(item.name, None) for item in fields(Scheduling)}),
    )


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


def _files(steps: Sequence[Step], inputs: Mapping[str, Path]) -> dict[str, Path]:
    """Return the input files to upload. Raises `JobError` for files that are not given and that no step writes."""
    errors = [f"{path} is not a readable file" for path in inputs.values() if not path.is_file()]
    produced: set[str] = set()
    for step in steps:
        errors += [f"{step.script} needs {name}" for name in step.inputs if name not in produced and name not in inputs]
        produced |= {*step.outputs, *step.optional_outputs}
    if errors:
        hint = "give them with --input, or let an earlier step write them"
        raise JobError("input files are missing", facts=errors, hint=hint)
    return dict(inputs)
