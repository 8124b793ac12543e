"""A step of each job: what the task of one script needs and writes, and its settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from bundler.sources.tool_table import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Settings):
    """A task of each job: a script with complete settings. Steps of a lower `level` run first; `name` may be "".

    `environment` has what our execution script needs, too, and `inputs` those of the job; `cores`, `disk` and `trials`
    are set.
    """

    script: str
    name: str = ""
    level: int = 0

    @property
    def title(self) -> str:
        """The name of the step: that of its script, unless it has its own."""
        return self.name or self.script

    @property
    def products(self) -> tuple[str, ...]:
        """The files that the step writes, or may write."""
        return (*self.outputs, *self.optional_outputs)


def step_of(
    name: str,
    script: str,
    about: Settings,
    inputs: Sequence[str],
    disk: int,
    level: int,
    *,
    several: bool,
) -> Step:
    """Return the step `name` that runs `script`, with `disk` bytes and `level` unless `about` sets them.

    `inputs` are the input files of every job; `several` says whether the publication has more than one script.
    """
    environment = {}
    if about.arguments:
        environment["BUNDLER_ARGUMENTS"] = json.dumps(about.arguments)
    if about.job_resources:
        environment["BUNDLER_JOB_RESOURCES"] = "1"
    if about.null_output_parameters:
        names = [parameter.name for parameter in about.output_parameters]
        environment["BUNDLER_NULL_PARAMETERS"] = json.dumps(names)
    environment.update(about.environment)
    if several:
        environment["BUNDLER_SCRIPT"] = script
    settings: dict[str, Any] = {entry.name: getattr(about, entry.name) for entry in fields(about)}
    settings["environment"] = environment
    settings["inputs"] = tuple(dict.fromkeys((*about.inputs, *inputs)))
    settings["cores"] = about.cores or 1
    settings["disk"] = about.disk or disk
    settings["trials"] = about.trials or 1
    if about.execution_level is not None:
        level = about.execution_level
    return Step(script=script, name=name, level=level, **settings)


def writers_before(step: Step, steps: Sequence[Step]) -> dict[str, Step]:
    """Return those of `steps` that write a file before `step` starts, by the name of the file."""
    writers = {}
    for other in steps:
        if other.level < step.level:
            writers.update(dict.fromkeys(other.products, other))
    return writers
