"""The parameters of jobs: from a table, or from sweeps over ranges and lists."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from bundler.errors import SweepError
from bundler.sources.parameters import Parameter, check_value, type_of
from bundler.units import counted
from wheelhouse import files

Row = dict[str, Any]
# More jobs than any site runs; a larger number is most likely a mistake in STEP.
LIMIT = 1_000_000
_HUGE = Decimal(10) ** 300


def sweep(texts: Sequence[str]) -> list[Row]:
    """Return one row for each combination of the sweeps `texts`.

    Each is `NAME=START:STOP:STEP`, both ends included, or `NAME=VALUE,VALUE,...`. Raises `SweepError`.
    """
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not name.strip() or not equals or not values or name.strip() in axes:
            raise SweepError(f"--sweep {text}", "is malformed, or repeats a parameter", "write x=0:10:0.5 or x=1,2,5")
        axes[name.strip()] = _values(text, values)
    if math.prod(len(values) for values in axes.values()) > LIMIT:
        raise SweepError(f"--sweep {' '.join(texts)}", f"makes more than {LIMIT} jobs", "use a larger STEP")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _values(text: str, values: str) -> list[Any]:
    parts = values.split(":")
    if len(parts) == 1:
        return [_scalar(part) for part in values.split(",")]
    try:
        start, stop, step = (Decimal(part) for part in parts)
        steps = (stop - start) / step
    except (ArithmeticError, ValueError):
        start = stop = step = steps = Decimal("nan")
    if not all(value.is_finite() and abs(value) < _HUGE for value in (start, stop, step, steps)):
        raise SweepError(
            f"--sweep {text}", "is not a range of numbers", "write x=START:STOP:STEP with a STEP other than 0"
        )
    if steps < 0:
        raise SweepError(
            f"--sweep {text}", "never reaches STOP", f"use a {'positive' if step < 0 else 'negative'} STEP"
        )
    if steps >= LIMIT:
        raise SweepError(f"--sweep {text}", f"has more than {LIMIT} values", "use a larger STEP")
    # Decimals, so that 0:1:0.1 ends with 1 and does not contain 0.30000000000000004.
    numbers = [start + number * step for number in range(int(steps) + 1)]
    whole = all(re.fullmatch(r"\s*[+-]?\d+\s*", part) for part in parts)
    return [int(value) if whole else float(value) for value in numbers]


class Cell(str):
    """A value as text, whose type depends on that of its parameter."""

    __slots__ = ()


def _scalar(text: str) -> Cell:
    return Cell(text.strip())


def _guess(cell: Cell) -> Any:
    """Return `cell` as the number or boolean that it looks like, or as it is."""
    if cell.casefold() in ("true", "false"):
        return cell.casefold() == "true"
    for kind in (int, float):
        try:
            value = kind(cell)
        except ValueError:
            continue
        if math.isfinite(value) and "_" not in cell:
            return value
    return str(cell)


def read_table(path: Path) -> list[Row]:
    """Return the rows of a CSV file with a header, or of a JSON list of objects. Raises `SweepError`."""
    with files.explained(path):
        text = files.read_input(path).decode("utf-8-sig", "replace")
    rows = _json_rows(path, text) if path.suffix.casefold() == ".json" else _csv_rows(path, text)
    if not rows:
        raise SweepError(str(path), "has no rows", "write one row for each job")
    return rows


def _json_rows(path: Path, text: str) -> list[Row]:
    try:
        rows = json.loads(text)
        return [dict(row) for row in rows] if isinstance(rows, list) else []
    except (ValueError, TypeError, RecursionError) as error:
        raise SweepError(str(path), f"is not a list of objects ({error})", "fix the file") from error


def _csv_rows(path: Path, text: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        raise SweepError(str(path), f"line {reader.line_num}: {error}", "fix the file") from error
    names = [name.strip() for name in lines[0][1]] if lines else []
    bad = next((number for number, line in lines[1:] if len(line) != len(names)), None)
    if bad is not None:
        raise SweepError(str(path), f"line {bad} does not have one value for each name", "fix the file")
    if len(set(names)) != len(names) or "" in names or (len(names) == 1 and re.search(r"[;\t]", names[0])):
        fact = "its first line has no parameter names, repeats one, or has no commas"
        raise SweepError(str(path), fact, "fix the file")
    return [dict(zip(names, map(_scalar, line), strict=True)) for _, line in lines[1:]]


def parameters(rows: Sequence[Row], known: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters that `rows` use and those in `known`, with their types.

    If scripts declare parameters, undeclared names are errors. An int is a float if another row has a float, and
    anything is text if another row has text. Raises `SweepError` for invalid values.
    """
    declared = {parameter.name: parameter for parameter in known}
    names = list(dict.fromkeys([*declared, *(name for row in rows for name in row)]))
    result, errors = [], []
    for name in names:
        if declared and name not in declared:
            errors.append(f"no script declares {name} (declared: {', '.join(sorted(declared))})")
            continue
        values = [row[name] for row in rows if name in row]
        parameter = declared.get(name)
        try:
            if parameter is None:
                parameter = Parameter(name=name, type=_common({type_of(_of(value)) for value in values}))
            for value in values:
                check_value(replace(parameter, default=_typed(parameter, value)))
        except (ValueError, OverflowError) as error:
            errors.append(str(error) if str(error).startswith(name) else f"{name}: {error}")
            continue
        if parameter.default is None and len(values) < len(rows):
            errors.append(f"{name} has no value in {counted(len(rows) - len(values), 'job')}")
        result.append(parameter)
    if errors:
        raise SweepError("parameters", "; ".join(errors), "fix the values")
    return result


def _of(value: Any) -> Any:
    return _guess(value) if isinstance(value, Cell) else value


def _common(types: set[str]) -> str:
    if len(types) == 1:
        return next(iter(types))
    return "float" if types <= {"int", "float"} else "string"


def _typed(parameter: Parameter, value: Any) -> Any:
    """Return `value` with the type of `parameter`. Raises `ValueError` if that is impossible."""
    if parameter.type == "string":
        type_of(value)
        return str(value)
    plain = _of(value)
    if parameter.type == "float" and type_of(plain) == "int":
        return float(plain)
    if type_of(plain) != parameter.type:
        raise ValueError(f"{parameter.name} must be of type {parameter.type} (got {plain!r})")
    return plain


def complete(rows: Sequence[Row], known: Mapping[str, Parameter]) -> list[Row]:
    """Return `rows` with defaults, and each value with the type of its parameter."""
    return [
        {
            name: _typed(parameter, row.get(name, parameter.default))
            for name, parameter in known.items()
            if name in row or parameter.default is not None
        }
        for row in rows
    ]
