"""The table `[tool.bundler]` in the metadata of a script, which describes its targets and jobs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeGuard

from bundler.errors import ScriptError
from bundler.sources import mappings
from bundler.sources.fitness import Fitness, parse_fitness
from bundler.sources.parameters import (
    Parameter,
    parse_output_parameters,
    parse_parameters,
)
from bundler.units import parse_duration, parse_size
from wheelhouse.files import safe_path


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


def _not_negative(value: object) -> int:
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
    if not isinstance(value, dict) or not all(
        isinstance(item, str | int | float) for item in value.values()
    ):
        raise TypeError("must be a table of strings, numbers and booleans")
    return value


def _environment(value: object) -> dict[str, str]:
    return {name: str(item) for name, item in _scalars(value).items()}


# The keys, each with what reads its value.


def _key(parse: Callable[[object], Any], *, default: Any = None, key: str = "") -> Any:
    """Return a field of `Settings` whose value `parse` reads from the table; its key has the name of the field."""
    metadata = {"parse": parse, "key": key}
    if default == {}:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of `[tool.bundler]`; `memory` and `disk` in bytes, `timeout` in seconds, None if not set.

    `inputs` are files that a job needs, `outputs` files that it must write, `optional_outputs` files that it may write,
    and `monitor` those of them that HPS shows while the job runs. `execution_level` orders the steps of a job; steps of
    one level run at the same time. `queue` and what follows is for job schedulers.
    """

    pythons: tuple[str, ...] = _key(_texts, default=(), key="python")
    platforms: tuple[str, ...] = _key(_texts, default=(), key="platform")
    inputs: tuple[str, ...] = _key(_paths, default=())
    outputs: tuple[str, ...] = _key(_paths, default=())
    optional_outputs: tuple[str, ...] = _key(_paths, default=())
    monitor: tuple[str, ...] = _key(_paths, default=())
    software: tuple[str, ...] = _key(_texts, default=())
    arguments: tuple[str, ...] = _key(_arguments, default=())
    environment: Mapping[str, str] = _key(_environment, default={})
    job_resources: bool | None = _key(_flag)
    null_output_parameters: bool | None = _key(_flag)
    execution_context: Mapping[str, object] = _key(_scalars, default={})
    parameters: tuple[Parameter, ...] = _key(parse_parameters, default=())
    output_parameters: tuple[Parameter, ...] = _key(parse_output_parameters, default=())
    parameter_mappings: tuple[mappings.Mapping, ...] = _key(mappings.parse_mappings, default=())
    success_expressions: tuple[str, ...] = _key(_texts, default=())
    fitness: Fitness | None = _key(parse_fitness)  # noqa: RUF009 - a field, like the others
    execution_level: int | None = _key(_not_negative)
    application: str | None = _key(_text)
    cores: float | None = _key(_number)
    memory: int | None = _key(parse_size)
    disk: int | None = _key(parse_size)
    timeout: float | None = _key(parse_duration)
    trials: int | None = _key(_count)
    priority: int | None = _key(_not_negative)
    debug: bool | None = _key(_flag)
    working_directory: str | None = _key(_text)
    distributed: bool | None = _key(_flag)
    compute_resource_set: str | None = _key(_text)
    queue: str | None = _key(_text)
    exclusive: bool | None = _key(_flag)
    cores_per_node: int | None = _key(_count)
    gpus_per_node: int | None = _key(_count)
    use_local_scratch: bool | None = _key(_flag)
    native_submit_options: str | None = _key(_text)


# The field of each key of `[tool.bundler]`.
KEYS = {entry.metadata["key"] or entry.name.replace("_", "-"): entry for entry in fields(Settings)}


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
    for key, entry in KEYS.items():
        if key not in table:
            continue
        try:
            values[entry.name] = entry.metadata["parse"](table[key])
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
