"""What is submitted to HPS: the steps, files and parameters of jobs, made of a publication and what its scripts say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
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
    from bundler.sources.tool_table import Parameter, Settings

APPLICATION = "uv"
PLATFORMS = {"Linux": "linux", "Windows": "windows", "Darwin": "darwin"}
# Wheels take about four times their size when installed; the rest is for what the script writes.
_UNPACKED = 4
_ROOM = 64 << 20
# Bytes; more is no file of a publication.
_LARGEST_SCRIPT, _LARGEST_SUMS = 16 << 20, 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says over what the scripts say, in their units; None where it says nothing."""

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


_NO_OPTIONS = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task of each job: a script with what it needs and leaves; `memory` and `disk` in bytes, `timeout` in seconds.

    `software` are names, with a version behind `=` where one is asked for.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Jobs to be: `steps` in turn for each of `rows`, values of `parameters`; `files` are input files by name."""

    publication: str
    exec_script: bytes
    platforms: tuple[str, ...]
    application: str | None
    steps: tuple[Step, ...]
    files: Mapping[str, Path]
    parameters: tuple[Parameter, ...]
    output_parameters: tuple[Parameter, ...]
    rows: Sequence[Row]

    @property
    def platform(self) -> str | None:
        """The platform that jobs ask for, as HPS calls it; None where the targets are for several."""
        return self.platforms[0] if len(self.platforms) == 1 else None


def needed_application(publication: Path, manifest: Manifest) -> str | None:
    """Return the application that nodes must have: uv, or none where the publication brings all that it needs."""
    carried = read_strategy(publication).self_contained or all(target.uv for target in manifest.targets)
    return None if carried else APPLICATION


def compose(
    publication: Path, rows: Sequence[Row], options: Options = _NO_OPTIONS, *, values: bool = True
) -> Submission:
    """Return the jobs that run the scripts of `publication` with each of `rows`; without `values`, what they need.

    Raises `BundlerError`, `BundlerError`, `DamagedError`, `ScriptError`, `JobError`, `SweepError`, `CombinedError`.
    """
    manifest = read_manifest(publication, "publication")
    names = options.scripts or tuple(script.name for script in manifest.scripts)
    known = {script.name for script in manifest.scripts}
    if set(names) - known:
        raise JobError(
            f"{publication.name}: holds no {', '.join(sorted(set(names) - known))}, but {', '.join(sorted(known))}."
        )
    said = read_job_settings(publication, manifest, names)
    application = next((each.application for each in said if each.application), None)
    application = options.application or application or needed_application(publication, manifest)
    application = None if application == "none" else application
    several = len(manifest.scripts) > 1
    given = _input_names(said, options.inputs)
    steps = tuple(
        _step(name, about, options, tuple(given), _disk(manifest, name), several=several)
        for name, about in zip(names, said, strict=True)
    )
    declared = _merged([parameter for about in said for parameter in about.parameters])
    defined = sweep.parameters(rows, declared) if values else []
    return Submission(
        publication=publication.name,
        exec_script=_exec_script(publication),
        platforms=tuple(sorted({PLATFORMS[target.system] for target in manifest.targets})),
        application=application,
        steps=steps,
        files=_files(steps, given) if values else {},
        parameters=tuple(defined),
        output_parameters=_merged([parameter for about in said for parameter in about.output_parameters]),
        rows=sweep.complete(rows, {parameter.name: parameter for parameter in defined}),
    )


def _exec_script(publication: Path) -> bytes:
    """Return the execution script; raise unless SHA256SUMS vouches for it."""
    path = publication / EXEC_SCRIPT
    if not path.is_file():
        raise BundlerError(
            f"{publication}: is a bundle and not a publication yet",
            hint=f"publish it first: publish-index DEST {publication}",
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
        given = getattr(options, key)
        said = getattr(about, key)
        return given if given is not None else said if said is not None else otherwise

    return Step(
        script=name,
        environment={**options.environment, **({"BUNDLER_SCRIPT": name} if several else {})},
        software=(*about.software, *options.software),
        inputs=tuple(dict.fromkeys((*about.inputs, *given_inputs))),
        outputs=tuple(dict.fromkeys((*about.outputs, *options.outputs))),
        optional_outputs=about.optional_outputs,
        cores=chosen("cores", 1),
        memory=chosen("memory", None),
        disk=chosen("disk", disk),
        timeout=chosen("timeout", None),
        trials=chosen("trials", 1),
    )


def _disk(manifest: Manifest, script: str) -> int:
    """Return the bytes that `script` may take on a cold node."""
    sizes = {file.path: file.size for file in manifest.files}
    wheels = [sum(sizes[f"wheels/{name}"] for name in target.wheels[script]) for target in manifest.targets]
    return max(wheels) * _UNPACKED + _ROOM


def _merged(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return each parameter once; raise `JobError` where two scripts say different things of one."""
    found: dict[str, Parameter] = {}
    for parameter in parameters:
        if found.setdefault(parameter.name, parameter) != parameter:
            raise JobError(f"The scripts say different things of the parameter {parameter.name}.")
    return tuple(found.values())


def _input_names(said: Sequence[Settings], inputs: Sequence[Path]) -> dict[str, Path]:
    """Return the input files by the path that jobs see: one that a script names with its folder, else the file name.

    Raises `JobError` where two files would have the same.
    """
    declared = {PurePosixPath(name).name: name for about in said for name in about.inputs}
    found: dict[str, Path] = {}
    for path in inputs:
        name = declared.get(path.name, path.name)
        if name in found:
            raise JobError(f"{found[name]} and {path}: jobs would see both as {name}.")
        found[name] = path
    return found


def _files(steps: Sequence[Step], given: Mapping[str, Path]) -> dict[str, Path]:
    """Return the input files that are uploaded; raise `JobError` for those that nobody gives and no step makes."""
    faults = [f"{path}: is no file that can be read." for path in given.values() if not path.is_file()]
    made: set[str] = set()
    for step in steps:
        faults += [
            f"{step.script} needs the input file {name}. Give it with --input, or let an earlier step make it."
            for name in step.inputs
            if name not in made and name not in given
        ]
        made |= {*step.outputs, *step.optional_outputs}
    if faults:
        raise JobError("\n".join(faults))
    return dict(given)
