"""Parameters of jobs, as scripts declare them in `[tool.bundler]`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The types of parameters in HPS, and the Python types of their values.
TYPES: Mapping[str, tuple[type, ...]] = {
    "float": (float, int),
    "int": (int,),
    "bool": (bool,),
    "string": (str,),
}
_NUMBERS = ("int", "float")
# The keys of a parameter in TOML; the fields of `Parameter` have underscores.
_KEYS = (
    "type",
    "default",
    "lower",
    "upper",
    "step",
    "values",
    "units",
    "display-text",
)


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
    for name, types in (
        ("bool", (bool,)),
        ("int", (int,)),
        ("float", (float,)),
        ("string", (str,)),
    ):
        if isinstance(value, types):
            return name
    raise ValueError(f"must be a number, a boolean or a string (got {value!r})")


def parse_parameters(value: object) -> tuple[Parameter, ...]:
    """Return the input parameters in the table `value`. Raises `TypeError`, `ValueError`."""
    if not isinstance(value, dict):
        raise TypeError("must be a table of names and defaults")
    return tuple(_parameter(name, about) for name, about in value.items())


def _parameter(name: str, about: object) -> Parameter:
    if not name:
        raise ValueError("a parameter has an empty name")
    if not isinstance(about, dict):
        return check_value(Parameter(name=name, type=type_of(about), default=about))
    if not set(about) <= set(_KEYS):
        raise ValueError(f"{name} has unknown keys; the keys are {', '.join(_KEYS)}")
    values = about.get("values", [])
    if not isinstance(values, list):
        raise TypeError(f"{name}: values must be a list")
    samples = values
    if "default" in about:
        samples = [about["default"]]
    likely = type_of(samples[0]) if samples else "float"
    kind = about.get("type", likely)
    _require_type(name, kind)
    for key in ("units", "display-text"):
        if not isinstance(about.get(key, ""), str):
            raise TypeError(f"{name}: {key} must be a string")
    parameter = Parameter(
        name=name,
        type=kind,
        default=about.get("default"),
        lower=about.get("lower"),
        upper=about.get("upper"),
        step=about.get("step"),
        values=tuple(values),
        units=about.get("units"),
        display_text=about.get("display-text"),
    )
    return check_value(parameter)


def _require_type(name: str, kind: object) -> None:
    if kind not in TYPES:
        raise ValueError(f"{name} has the unknown type {kind!r}; the types are {', '.join(TYPES)}")


def parse_output_parameters(value: object) -> tuple[Parameter, ...]:
    """Return the output parameters in `value`: a name, a list of names, or a table of names and types.

    Raises `ValueError`.
    """
    if isinstance(value, dict):
        for name, kind in value.items():
            if not name:
                raise ValueError("a parameter has an empty name")
            _require_type(name, kind)
        return tuple(Parameter(name=name, type=kind) for name, kind in value.items())
    names = [value] if isinstance(value, str) else value
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name for name in names)
    ):
        start = str(value)[:60]
        raise ValueError(f"must be names, or a table of names and types (got {start!r})")
    return tuple(Parameter(name=name, type="float") for name in names)


def check_value(parameter: Parameter) -> Parameter:
    """Return `parameter`. Raises `ValueError` if its default, bounds or values do not fit its type or each other."""
    name = parameter.name
    kind = parameter.type
    low = parameter.lower
    high = parameter.upper
    default = parameter.default
    values = parameter.values
    bounds = (low, high, parameter.step)
    for value in (default, *bounds, *values):
        if value is not None and not fits(value, kind):
            raise ValueError(f"{name} must be of type {kind} (got {value!r})")
    if kind in _NUMBERS:
        _require_between(name, default, low, high)
        _require_steps(name, default, low, parameter.step)
    elif bounds != (None, None, None):
        raise ValueError(f"{name} is of type {kind}, which has no bounds")
    if not values:
        return parameter
    if kind not in ("float", "string"):
        raise ValueError(f"{name} is of type {kind}, which has no list of values")
    if default is not None and default not in values:
        raise ValueError(
            f"{name} = {default!r} is not one of its values {', '.join(map(str, values))}"
        )
    return parameter


def fits(value: object, kind: str) -> bool:
    """Return whether `value` is of the type `kind`; Python counts booleans as integers."""
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, TYPES[kind])


def _require_between(name: str, value: Any, low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"{name}: lower is greater than upper ({low} > {high})")
    if value is None:
        return
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"{name} = {value!r} is outside its bounds {_bound(low)}..{_bound(high)}")


def _require_steps(name: str, value: Any, low: float | None, step: float | None) -> None:
    """Raise `ValueError` unless `value` is `low` plus a multiple of `step`, as HPS requires."""
    if step is None:
        return
    if step <= 0:
        raise ValueError(f"{name}: step must be greater than 0 (got {step!r})")
    if value is None or low is None:
        return
    steps = (value - low) / step
    # Most decimals are not exact in binary: 0.3 / 0.1 is less than 3.
    if not math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9):
        raise ValueError(f"{name} = {value!r} is not {low} plus a multiple of its step {step}")


def _bound(value: float | None) -> str:
    return "" if value is None else str(value)
