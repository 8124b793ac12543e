"""A step of each job: what the task of one script needs and writes, and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from bundler.sources.tool_table import Settings


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

    `software` are names, with "=VERSION" if a version is required. Steps of a lower `level` run first.
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
    level: int = 0
    monitor: tuple[str, ...] = ()
    success_expressions: tuple[str, ...] = ()
    execution_context: Mapping[str, object] = field(default_factory=dict)
    debug: bool | None = None
    working_directory: str | None = None
    scheduling: Scheduling = Scheduling()

    @property
    def products(self) -> tuple[str, ...]:
        """The files that the step writes, or may write."""
        return (*self.outputs, *self.optional_outputs)


def step_of(
    name: str,
    about: Settings,
    inputs: Sequence[str],
    disk: int,
    level: int,
    *,
    several: bool,
) -> Step:
    """Return the step that runs the script `name`, with `disk` bytes and `level` unless `about` sets them.

    `inputs` are the input files of every job; `several` says whether the publication has more than one script.
    """
    if about.execution_level is not None:
        level = about.execution_level
    environment = {}
    if about.arguments:
        environment["BUNDLER_ARGUMENTS"] = json.dumps(about.arguments)
    environment.update(about.environment)
    if several:
        environment["BUNDLER_SCRIPT"] = name
    scheduling = {entry.name: getattr(about, entry.name) for entry in fields(Scheduling)}
    return Step(
        script=name,
        environment=environment,
        software=about.software,
        inputs=tuple(dict.fromkeys((*about.inputs, *inputs))),
        outputs=about.outputs,
        optional_outputs=about.optional_outputs,
        cores=about.cores or 1,
        memory=about.memory,
        disk=about.disk or disk,
        timeout=about.timeout,
        trials=about.trials or 1,
        level=level,
        monitor=about.monitor,
        success_expressions=about.success_expressions,
        execution_context=about.execution_context,
        debug=about.debug,
        working_directory=about.working_directory,
        scheduling=Scheduling(**scheduling),
    )


def writers_before(step: Step, steps: Sequence[Step]) -> dict[str, Step]:
    """Return those of `steps` that write a file before `step` starts, by the name of the file."""
    writers = {}
    for other in steps:
        if other.level < step.level:
            writers.update(dict.fromkeys(other.products, other))
    return writers
