"""Which values the jobs of a project get: none, a table, or a sweep over every combination."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bundler.errors import SweepError
from bundler.sources.tool_table import Parameter, check_value, type_of
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Row = dict[str, Any]
# More jobs than any site runs; a sweep with a step too small is a slip of the pen.
LIMIT = 1_000_000
_HUGE = Decimal(10) ** 300


def sweep(texts: Sequence[str]) -> list[Row]:
    """Return one row for every combination of what `texts` say.

    Each is `NAME=START:STOP:STEP`, both ends included, or `NAME=VALUE,VALUE,...`. Raises `SweepError`.
    """
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not name.strip() or not equals or not values or name.strip() in axes:
            raise SweepError(text, "is no sweep, or names a parameter twice", "write x=0:10:0.5, or x=1,2,5")
        axes[name.strip()] = _values(text, values)
    if math.prod(len(values) for values in axes.values()) > LIMIT:
        raise SweepError(" ".join(texts), f"makes more than {LIMIT} jobs", "take larger steps")
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
    if not all(each.is_finite() and abs(each) < _HUGE for each in (start, stop, step, steps)):
        raise SweepError(text, "is no range of numbers", "write x=START:STOP:STEP with a STEP other than 0")
    if steps < 0:
        raise SweepError(text, "leads away from its end", "turn the sign of STEP")
    if steps >= LIMIT:
        raise SweepError(text, f"gives more than {LIMIT} values", "take a larger STEP")
    # Decimals, so that 0:1:0.1 ends with 1 and holds no 0.30000000000000004.
    numbers = [start + number * step for number in range(int(steps) + 1)]
    whole = all(re.fullmatch(r"\s*[+-]?\d+\s*", part) for part in parts)
    return [int(each) if whole else float(each) for each in numbers]


class Cell(str):
    """A value as it was typed, of which the type of its parameter decides what it is."""

    __slots__ = ()


def _scalar(text: str) -> Cell:
    return Cell(text.strip())


def _guess(cell: Cell) -> Any:
    """Return `cell` as the number or truth value that it looks like, else as it is."""
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
    """Return the rows of a CSV file with a line of names, or of a JSON list of objects; raise `SweepError`."""
    with files.explained(path):
        text = files.read_input(path).decode("utf-8-sig", "replace")
    found = _json_rows(path, text) if path.suffix.casefold() == ".json" else _csv_rows(path, text)
    if not found:
        raise SweepError(str(path), "holds no rows", "give one row for each job")
    return found


def _json_rows(path: Path, text: str) -> list[Row]:
    try:
        rows = json.loads(text)
        return [dict(row) for row in rows] if isinstance(rows, list) else []
    except (ValueError, TypeError, RecursionError) as fault:
        raise SweepError(str(path), f"is no list of objects ({fault})", "fix the file") from fault


def _csv_rows(path: Path, text: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as fault:
        raise SweepError(str(path), f"line {reader.line_num}: {fault}", "fix the file") from fault
    names = [name.strip() for name in lines[0][1]] if lines else []
    bad = next((number for number, line in lines[1:] if len(line) != len(names)), None)
    if bad is not None:
        raise SweepError(str(path), f"line {bad} has not one value for each name", "fix the file")
    if len(set(names)) != len(names) or "" in names or (len(names) == 1 and re.search(r"[;\t]", names[0])):
        fact = "its first line names no parameters, or one twice, or without commas in between"
        raise SweepError(str(path), fact, "fix the file")
    return [dict(zip(names, map(_scalar, line), strict=True)) for _, line in lines[1:]]


def parameters(rows: Sequence[Row], known: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters that `rows` use and that are `known`, typed.

    Where scripts declare parameters, a name that none declares is a slip. An int where another row has a float is one,
    too; everything beside a text is a text. Raises `SweepError` for values that do not fit.
    """
    declared = {parameter.name: parameter for parameter in known}
    names = list(dict.fromkeys([*declared, *(name for row in rows for name in row)]))
    found, faults = [], []
    for name in names:
        if declared and name not in declared:
            faults.append(f"{name}: the scripts declare {', '.join(sorted(declared))} and no {name}")
            continue
        values = [row[name] for row in rows if name in row]
        parameter = declared.get(name)
        try:
            if parameter is None:
                parameter = Parameter(name=name, type=_common({type_of(_of(value)) for value in values}))
            for value in values:
                check_value(replace(parameter, default=_typed(parameter, value)))
        except (ValueError, OverflowError) as fault:
            faults.append(str(fault) if str(fault).startswith(name) else f"{name}: {fault}")
            continue
        if parameter.default is None and len(values) < len(rows):
            faults.append(f"{name}: {len(rows) - len(values)} of the jobs have no value for it")
        found.append(parameter)
    if faults:
        raise SweepError("The parameters", "; ".join(faults), "fix the values")
    return found


def _of(value: Any) -> Any:
    return _guess(value) if isinstance(value, Cell) else value


def _common(types: set[str]) -> str:
    if len(types) == 1:
        return next(iter(types))
    return "float" if types <= {"int", "float"} else "string"


def _typed(parameter: Parameter, value: Any) -> Any:
    """Return `value` as one of `parameter`; raise `ValueError` where it can be none."""
    if parameter.type == "string":
        type_of(value)
        return str(value)
    plain = _of(value)
    if parameter.type == "float" and type_of(plain) == "int":
        return float(plain)
    if type_of(plain) != parameter.type:
        raise ValueError(f"{parameter.name}: {plain!r} is no {parameter.type}")
    return plain


def complete(rows: Sequence[Row], known: Mapping[str, Parameter]) -> list[Row]:
    """Return `rows` with defaults filled in and every value of the type of its parameter."""
    return [
        {
            name: _typed(parameter, row.get(name, parameter.default))
            for name, parameter in known.items()
            if name in row or parameter.default is not None
        }
        for row in rows
    ]
