"""The table `[tool.bundler]` in the metadata of a script, which describes its targets and jobs."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bundler.errors import ScriptError
from bundler.units import parse_duration, parse_size
from wheelhouse.files import safe_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# The types of parameters in HPS, and the Python types of their values.
TYPES: Mapping[str, tuple[type, ...]] = {"float": (float, int), "int": (int,), "bool": (bool,), "string": (str,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a job, of one of the `TYPES`; an output parameter has no default and no bounds."""

    name: str
    type: str
    default: object = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of `[tool.bundler]`; `memory` and `disk` in bytes, `timeout` in seconds, None if not set.

    `inputs` are files that a job needs, `outputs` files that it must write, `optional_outputs` files that it may write.
    """

    pythons: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    optional_outputs: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    output_parameters: tuple[Parameter, ...] = ()
    application: str | None = None
    cores: float | None = None
    memory: int | None = None
    disk: int | None = None
    timeout: float | None = None
    trials: int | None = None


def settings_of(path: Path, tool: Mapping[str, Any]) -> Settings:
    """Return `[tool.bundler]` of the table `tool` of the script `path`.

    Raises `ScriptError` with everything that is wrong in it.
    """
    table = tool.get("bundler", {})
    if not isinstance(table, dict):
        raise ScriptError(path, "tool.bundler is not a table", "fix the metadata block")
    problems = [f"unknown key tool.bundler.{key}" for key in sorted(set(table) - set(KEYS))]
    hints = [_near(key) for key in sorted(set(table) - set(KEYS))]
    values: dict[str, Any] = {}
    for key, (attribute, parse) in KEYS.items():
        if key in table:
            try:
                values[attribute] = parse(table[key])
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(f"tool.bundler.{key}: {error}")
    if problems:
        raise ScriptError(path, "; ".join(problems), ", ".join(hints) or "fix the metadata block")
    return Settings(**values)


def _near(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f"did you mean {near[0]}?" if near else f"the keys are {', '.join(sorted(KEYS))}"


def type_of(value: object) -> str:
    """Return the type of a parameter with the value `value`. Raises `ValueError` if there is none."""
    for name, types in (("bool", (bool,)), ("int", (int,)), ("float", (float,)), ("string", (str,))):
        if isinstance(value, types):
            return name
    raise ValueError(f"must be a number, a boolean or a string (got {value!r})")


def _texts(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(item, str) and item for item in values):
        raise ValueError(f"must be a string or a list of strings (got {str(value)[:60]!r})")
    return tuple(values)


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


def _parameters(value: object) -> tuple[Parameter, ...]:
    if not isinstance(value, dict):
        raise TypeError("must be a table of names and defaults")
    return tuple(_parameter(name, about) for name, about in value.items())


def _parameter(name: str, about: object) -> Parameter:
    if not isinstance(about, dict):
        return check_value(Parameter(name=name, type=type_of(about), default=about))
    more = {key: about[key] for key in ("default", "lower", "upper") if key in about}
    if set(about) - {"type", *more}:
        raise ValueError(f"{name} has unknown keys; type, default, lower and upper are supported")
    kind = about.get("type") or (type_of(more["default"]) if "default" in more else "float")
    if kind not in TYPES:
        raise ValueError(f"{name} has the unknown type {kind!r}; the types are {', '.join(TYPES)}")
    return check_value(Parameter(name=name, type=kind, **more))


def check_value(parameter: Parameter) -> Parameter:
    """Return `parameter`. Raises `ValueError` if its default or bounds do not fit its type or each other."""
    name, kind = parameter.name, parameter.type
    for value in (parameter.default, parameter.lower, parameter.upper):
        if value is None:
            continue
        fits = isinstance(value, TYPES[kind]) and (kind == "bool") == isinstance(value, bool)
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name} must be of type {kind} (got {value!r})")
    limits = (parameter.lower, parameter.upper)
    if limits != (None, None) and kind not in ("int", "float"):
        raise ValueError(f"{name} is of type {kind}, which has no bounds")
    value = parameter.default
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = limits
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"{name} = {value!r} is outside its bounds {_bound(low)}..{_bound(high)}")
    return parameter


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value}"


def _results(value: object) -> tuple[Parameter, ...]:
    if isinstance(value, dict):
        pairs = list(cast("dict[str, Any]", value).items())
    else:
        pairs = [(name, "float") for name in _texts(value)]
    for name, kind in pairs:
        if kind not in TYPES:
            raise ValueError(f"{name} has the unknown type {kind!r}; the types are {', '.join(TYPES)}")
    return tuple(Parameter(name=name, type=kind) for name, kind in pairs)


KEYS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "python": ("pythons", _texts),
    "platform": ("platforms", _texts),
    "inputs": ("inputs", _paths),
    "outputs": ("outputs", _paths),
    "optional-outputs": ("optional_outputs", _paths),
    "software": ("software", _texts),
    "parameters": ("parameters", _parameters),
    "output-parameters": ("output_parameters", _results),
    "application": ("application", lambda value: _texts(value)[0]),
    "cores": ("cores", _number),
    "memory": ("memory", parse_size),
    "disk": ("disk", parse_size),
    "timeout": ("timeout", parse_duration),
    "trials": ("trials", _count),
}
