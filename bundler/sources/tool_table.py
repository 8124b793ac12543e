"""The table `[tool.bundler]` in the metadata of a script, which describes its targets and jobs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundler.errors import ScriptError
from bundler.sources.fitness import Fitness, parse_fitness
from bundler.sources.parameters import Parameter, parse_output_parameters, parse_parameters
from bundler.units import parse_duration, parse_size
from wheelhouse.files import safe_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of `[tool.bundler]`; `memory` and `disk` in bytes, `timeout` in seconds, None if not set.

    `inputs` are files that a job needs, `outputs` files that it must write, `optional_outputs` files that it may write,
    and `monitor` those of them that HPS shows while the job runs. `execution_level` orders the steps of a job; steps of
    one level run at the same time. `queue` and what follows is for job schedulers.
    """

    pythons: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    optional_outputs: tuple[str, ...] = ()
    monitor: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    execution_context: Mapping[str, object] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    output_parameters: tuple[Parameter, ...] = ()
    success_expressions: tuple[str, ...] = ()
    fitness: Fitness | None = None
    execution_level: int | None = None
    application: str | None = None
    cores: float | None = None
    memory: int | None = None
    disk: int | None = None
    timeout: float | None = None
    trials: int | None = None
    priority: int | None = None
    debug: bool | None = None
    working_directory: str | None = None
    distributed: bool | None = None
    compute_resource_set: str | None = None
    queue: str | None = None
    exclusive: bool | None = None
    cores_per_node: int | None = None
    gpus_per_node: int | None = None
    use_local_scratch: bool | None = None
    native_submit_options: str | None = None


def settings_of(path: Path, tool: Mapping[str, Any]) -> Settings:
    """Return `[tool.bundler]` of the table `tool` of the script `path`.

    Raises `ScriptError` with everything that is wrong in it.
    """
    table = tool.get("bundler", {})
    if not isinstance(table, dict):
        raise ScriptError(path, "tool.bundler is not a table", "fix the metadata block")
    unknown = sorted(set(table) - set(KEYS))
    values, problems = parse_keys(table)
    strange = sorted(set(values.get("monitor", ())) - {*values.get("outputs", ()), *values.get("optional_outputs", ())})
    problems += [f"tool.bundler.monitor: {name} is not an output" for name in strange]
    if problems:
        raise ScriptError(path, "; ".join(problems), ", ".join(map(near_key, unknown)) or "fix the metadata block")
    return Settings(**values)


def parse_keys(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of `Settings` that the keys of `table` set, and what is wrong in it."""
    problems = [f"unknown key tool.bundler.{key}" for key in sorted(set(table) - set(KEYS))]
    values: dict[str, Any] = {}
    for key, (attribute, parse) in KEYS.items():
        if key in table:
            try:
                values[attribute] = parse(table[key])
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(f"tool.bundler.{key}: {error}")
    return values, problems


def near_key(key: str) -> str:
    """Return a hint about the unknown `key`."""
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f"did you mean {near[0]}?" if near else f"the keys are {', '.join(sorted(KEYS))}"


def _texts(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(item, str) and item for item in values):
        raise ValueError(f"must be a string or a list of strings (got {str(value)[:60]!r})")
    return tuple(values)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a string (got {str(value)[:60]!r})")
    return value


def _arguments(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"must be a list of strings (got {str(value)[:60]!r})")
    return tuple(value)


def _paths(value: object) -> tuple[str, ...]:
    paths = _texts(value)
    for path in paths:
        if not safe_path(path):
            raise ValueError(f"must be relative paths inside the folder of a job (got {path!r})")
    return paths


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"must be a number greater than 0 (got {value!r})")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"must be an integer greater than 0 (got {value!r})")
    return value


def _level(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be an integer of at least 0 (got {value!r})")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be true or false (got {value!r})")
    return value


def _scalars(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(item, str | int | float | bool) for item in value.values()):
        raise TypeError("must be a table of strings, numbers and booleans")
    return value


def _environment(value: object) -> dict[str, str]:
    return {name: str(item) for name, item in _scalars(value).items()}


KEYS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "python": ("pythons", _texts),
    "platform": ("platforms", _texts),
    "inputs": ("inputs", _paths),
    "outputs": ("outputs", _paths),
    "optional-outputs": ("optional_outputs", _paths),
    "monitor": ("monitor", _paths),
    "software": ("software", _texts),
    "arguments": ("arguments", _arguments),
    "environment": ("environment", _environment),
    "execution-context": ("execution_context", _scalars),
    "parameters": ("parameters", parse_parameters),
    "output-parameters": ("output_parameters", parse_output_parameters),
    "success-expressions": ("success_expressions", _texts),
    "fitness": ("fitness", parse_fitness),
    "execution-level": ("execution_level", _level),
    "application": ("application", _text),
    "cores": ("cores", _number),
    "memory": ("memory", parse_size),
    "disk": ("disk", parse_size),
    "timeout": ("timeout", parse_duration),
    "trials": ("trials", _count),
    "priority": ("priority", _count),
    "debug": ("debug", _flag),
    "working-directory": ("working_directory", _text),
    "distributed": ("distributed", _flag),
    "compute-resource-set": ("compute_resource_set", _text),
    "queue": ("queue", _text),
    "exclusive": ("exclusive", _flag),
    "cores-per-node": ("cores_per_node", _count),
    "gpus-per-node": ("gpus_per_node", _count),
    "use-local-scratch": ("use_local_scratch", _flag),
    "native-submit-options": ("native_submit_options", _text),
}
