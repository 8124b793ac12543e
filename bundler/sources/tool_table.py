"""The table `[tool.bundler]` in the metadata of a script, which describes its targets and jobs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from bundler.errors import ScriptError
from bundler.sources.fitness import Fitness, parse_fitness
from bundler.sources.parameters import (
    Parameter,
    parse_output_parameters,
    parse_parameters,
)
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
    values, problems = parse_keys(table)
    outputs = {*values.get("outputs", ()), *values.get("optional_outputs", ())}
    for name in sorted(set(values.get("monitor", ()))):
        if name not in outputs:
            problems.append(f"tool.bundler.monitor: {name} is not an output")
    if problems:
        hints = [near_key(key) for key in _unknown(table)]
        raise ScriptError(
            path,
            "; ".join(problems),
            ", ".join(hints) or "fix the metadata block",
        )
    return Settings(**values)


def parse_keys(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of `Settings` that the keys of `table` set, and what is wrong in it."""
    problems = [f"unknown key tool.bundler.{key}" for key in _unknown(table)]
    values = {}
    for key, parse in KEYS.items():
        if key not in table:
            continue
        name = _FIELDS.get(key, key.replace("-", "_"))
        try:
            values[name] = parse(table[key])
        except (ValueError, TypeError, OverflowError) as error:
            problems.append(f"tool.bundler.{key}: {error}")
    return values, problems


def _unknown(table: Mapping[str, Any]) -> list[str]:
    return sorted(table.keys() - KEYS.keys())


def near_key(key: str) -> str:
    """Return a hint about the unknown `key`."""
    near = difflib.get_close_matches(key, KEYS, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"the keys are {', '.join(sorted(KEYS))}"


def _texts(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if _are_texts(values) and values and "" not in values:
        return tuple(values)
    raise ValueError(f"must be a string or a list of strings (got {_start(value)})")


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _start(value: object) -> str:
    return repr(str(value)[:60])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a string (got {_start(value)})")
    return value


def _arguments(value: object) -> tuple[str, ...]:
    if not _are_texts(value):
        raise ValueError(f"must be a list of strings (got {_start(value)})")
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
    if not _is_integer(value) or value < 1:
        raise ValueError(f"must be an integer greater than 0 (got {value!r})")
    return value


def _level(value: object) -> int:
    if not _is_integer(value) or value < 0:
        raise ValueError(f"must be an integer of at least 0 (got {value!r})")
    return value


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be true or false (got {value!r})")
    return value


def _scalars(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(item, str | int | float) for item in value.values()):
        raise TypeError("must be a table of strings, numbers and booleans")
    return value


def _environment(value: object) -> dict[str, str]:
    return {name: str(item) for name, item in _scalars(value).items()}


# The keys, each with what reads its value.
KEYS: dict[str, Callable[[object], Any]] = {
    "python": _texts,
    "platform": _texts,
    "inputs": _paths,
    "outputs": _paths,
    "optional-outputs": _paths,
    "monitor": _paths,
    "software": _texts,
    "arguments": _arguments,
    "environment": _environment,
    "execution-context": _scalars,
    "parameters": parse_parameters,
    "output-parameters": parse_output_parameters,
    "success-expressions": _texts,
    "fitness": parse_fitness,
    "execution-level": _level,
    "application": _text,
    "cores": _number,
    "memory": parse_size,
    "disk": parse_size,
    "timeout": parse_duration,
    "trials": _count,
    "priority": _count,
    "debug": _flag,
    "working-directory": _text,
    "distributed": _flag,
    "compute-resource-set": _text,
    "queue": _text,
    "exclusive": _flag,
    "cores-per-node": _count,
    "gpus-per-node": _count,
    "use-local-scratch": _flag,
    "native-submit-options": _text,
}
# The fields of `Settings` with another name than their key.
_FIELDS = {"python": "pythons", "platform": "platforms"}
