"""Parameters of jobs, as scripts declare them in `[tool.bundler]`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

# The types of parameters in HPS, and the Python types of their values.
TYPES: Mapping[str, tuple[type, ...]] = {"float": (float, int), "int": (int,), "bool": (bool,), "string": (str,)}
_NUMBERS = ("int", "float")
# The keys of a parameter in TOML, and the fields of `Parameter`.
_KEYS = {
    "type": "type",
    "default": "default",
    "lower": "lower",
    "upper": "upper",
    "step": "step",
    "values": "values",
    "units": "units",
    "display-text": "display_text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a job, of one of the `TYPES`; an output parameter has no default, bounds, step and values.

    `values` are the allowed ones; `units` and `display_text` are for the web interface of HPS.
    """

    name: str
    type: str
    default: object = None
    lower: float | None = None
    upper: float | None = None
    step: float | None = None
    values: tuple[object, ...] = ()
    units: str | None = None
    display_text: str | None = None


def type_of(value: object) -> str:
    """Return the type of a parameter with the value `value`. Raises `ValueError` if there is none."""
    for name, types in (("bool", (bool,)), ("int", (int,)), ("float", (float,)), ("string", (str,))):
        if isinstance(value, types):
            return name
    raise ValueError(f"must be a number, a boolean or a string (got {value!r})")


def parse_parameters(value: object) -> tuple[Parameter, ...]:
    """Return the input parameters in the table `value`. Raises `TypeError`, `ValueError`."""
    if not isinstance(value, dict):
        raise TypeError("must be a table of names and defaults")
    return tuple(_parameter(name, about) for name, about in value.items())


def _parameter(name: str, about: object) -> Parameter:
    if not isinstance(about, dict):
        return check_value(Parameter(name=name, type=type_of(about), default=about))
    if set(about) - set(_KEYS):
        raise ValueError(f"{name} has unknown keys; the keys are {', '.join(_KEYS)}")
    fields: dict[str, Any] = {field: about[key] for key, field in _KEYS.items() if key in about}
    if not isinstance(fields.get("values", []), list):
        raise TypeError(f"{name}: values must be a list")
    fields["values"] = tuple(fields.get("values", ()))
    samples = [fields["default"]] if "default" in fields else list(fields["values"])
    fields.setdefault("type", type_of(samples[0]) if samples else "float")
    if fields["type"] not in TYPES:
        raise ValueError(f"{name} has the unknown type {fields['type']!r}; the types are {', '.join(TYPES)}")
    for key in ("units", "display_text"):
        if not isinstance(fields.get(key, ""), str):
            raise TypeError(f"{name}: {key.replace('_', '-')} must be a string")
    return check_value(Parameter(name=name, **fields))


def parse_output_parameters(value: object) -> tuple[Parameter, ...]:
    """Return the output parameters in `value`: a name, a list of names, or a table of names and types.

    Raises `ValueError`.
    """
    if isinstance(value, dict):
        pairs = list(cast("dict[str, Any]", value).items())
    else:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"must be names, or a table of names and types (got {str(value)[:60]!r})")
        pairs = [(name, "float") for name in names]
    for name, kind in pairs:
        if kind not in TYPES:
            raise ValueError(f"{name} has the unknown type {kind!r}; the types are {', '.join(TYPES)}")
    return tuple(Parameter(name=name, type=kind) for name, kind in pairs)


def check_value(parameter: Parameter) -> Parameter:
    """Return `parameter`. Raises `ValueError` if its default, bounds or values do not fit its type or each other."""
    name, kind = parameter.name, parameter.type
    numbers = {"lower": parameter.lower, "upper": parameter.upper, "step": parameter.step}
    for value in (parameter.default, *numbers.values(), *parameter.values):
        if value is None:
            continue
        fits = isinstance(value, TYPES[kind]) and (kind == "bool") == isinstance(value, bool)
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name} must be of type {kind} (got {value!r})")
    if kind not in _NUMBERS and any(value is not None for value in numbers.values()):
        raise ValueError(f"{name} is of type {kind}, which has no bounds")
    low, high, value = parameter.lower, parameter.upper, parameter.default
    if isinstance(value, int | float) and not isinstance(value, bool):
        lowest, highest = -math.inf if low is None else low, math.inf if high is None else high
        if not lowest <= value <= highest:
            raise ValueError(f"{name} = {value!r} is outside its bounds {_bound(low)}..{_bound(high)}")
    if parameter.values and kind not in ("float", "string"):
        raise ValueError(f"{name} is of type {kind}, which has no list of values")
    if parameter.values and value is not None and value not in parameter.values:
        raise ValueError(f"{name} = {value!r} is not one of its values {', '.join(map(str, parameter.values))}")
    return parameter


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value}"
