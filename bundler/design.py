"""Which values the jobs of a project get: none, a table, or a sweep over every combination."""

from __future__ import annotations

import csv
import itertools
import json
import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from bundler.errors import DesignFault
from bundler.settings import Parameter, type_of
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Row = dict[str, Any]
# More jobs than any site runs; a sweep with a step too small is a slip of the pen.
LIMIT = 1_000_000
_ENDS = 3


def sweep(texts: Sequence[str]) -> list[Row]:
    """Return one row for every combination of what `texts` say.

    Each is `NAME=START:STOP:STEP`, both ends included, or `NAME=VALUE,VALUE,...`. Raises `DesignFault`.
    """
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not name.strip() or not equals or not values or name.strip() in axes:
            raise DesignFault(text, "is no sweep, or names a parameter twice", "Write x=0:10:0.5, or x=1,2,5.")
        axes[name.strip()] = _values(text, values)
    if math.prod(len(values) for values in axes.values()) > LIMIT:
        raise DesignFault(" ".join(texts), f"makes more than {LIMIT} jobs", "Take larger steps.")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _values(text: str, values: str) -> list[Any]:
    parts = values.split(":")
    if len(parts) == _ENDS:
        try:
            start, stop, step = map(Decimal, parts)
            count = int((stop - start) / step) + 1
        except (InvalidOperation, ZeroDivisionError, OverflowError, ValueError):
            raise DesignFault(
                text, "is no range of numbers", "Write x=START:STOP:STEP with a STEP other than 0."
            ) from None
        if not 0 < count <= LIMIT:
            raise DesignFault(text, f"gives {count} values", "Let STEP lead from START to STOP.")
        # Decimals, so that 0:1:0.1 ends with 1 and holds no 0.30000000000000004.
        numbers = [start + number * step for number in range(count)]
        whole = all(each == each.to_integral_value() for each in (start, step)) and "." not in values
        return [int(each) if whole else float(each) for each in numbers]
    return [_scalar(part) for part in values.split(",")]


def _scalar(text: str) -> Any:
    """Return `text` as the number or truth value that it looks like, else as it is."""
    word = text.strip()
    if word.casefold() in ("true", "false"):
        return word.casefold() == "true"
    for kind in (int, float):
        try:
            value = kind(word)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return word


def read_table(path: Path) -> list[Row]:
    """Return the rows of a CSV file with a line of names, or of a JSON list of objects; raise `DesignFault`."""
    with files.explained(path):
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix.casefold() == ".json":
        try:
            rows = json.loads(text)
            found = [dict(row) for row in rows] if isinstance(rows, list) else []
        except (ValueError, TypeError, RecursionError) as fault:
            raise DesignFault(str(path), f"is no list of objects ({fault})", "Mend the file.") from fault
    else:
        lines = list(csv.reader(text.splitlines()))
        names = [name.strip() for name in lines[0]] if lines else []
        body = [line for line in lines[1:] if line]
        bad = next((number for number, line in enumerate(body, 2) if len(line) != len(names)), None)
        if bad is not None or len(set(names)) != len(names) or "" in names:
            where = (
                f"line {bad} has not one value for each name"
                if bad
                else "its first line names no parameters, or one twice"
            )
            raise DesignFault(str(path), where, "Mend the file.")
        found = [dict(zip(names, map(_scalar, line), strict=True)) for line in body]
    if not found:
        raise DesignFault(str(path), "holds no rows", "Give one row for each job.")
    return found


def parameters(rows: Sequence[Row], known: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters that `rows` use and that are `known`, typed.

    An int where another row has a float is one, too; everything beside a text is a text. Raises `DesignFault` for
    values that do not fit.
    """
    declared = {parameter.name: parameter for parameter in known}
    names = list(dict.fromkeys([*declared, *(name for row in rows for name in row)]))
    found, faults = [], []
    for name in names:
        values = [row[name] for row in rows if name in row]
        try:
            types = {type_of(value) for value in values}
        except ValueError as fault:
            faults.append(f"{name}: {fault}")
            continue
        parameter = declared.get(name) or Parameter(name=name, type=_common(types))
        faults += _misfits(parameter, values)
        if parameter.default is None and len(values) < len(rows):
            faults.append(f"{name}: {len(rows) - len(values)} of the jobs have no value for it")
        found.append(parameter)
    if faults:
        raise DesignFault("The parameters", "; ".join(faults), "Mend the values.")
    return found


def _common(types: set[str]) -> str:
    if len(types) == 1:
        return next(iter(types))
    return "float" if types <= {"int", "float"} else "string"


def _misfits(parameter: Parameter, values: Iterable[Any]) -> list[str]:
    faults = []
    for value in values:
        kind = type_of(value)
        if kind != parameter.type and not (kind == "int" and parameter.type == "float") and parameter.type != "string":
            faults.append(f"{parameter.name}: {value!r} is no {parameter.type}")
        elif kind in ("int", "float") and parameter.type in ("int", "float"):
            low, high = parameter.lower, parameter.upper
            if (low is not None and value < low) or (high is not None and value > high):
                faults.append(f"{parameter.name}: {value!r} is not between {low} and {high}")
    return faults[:3]


def complete(rows: Sequence[Row], known: Mapping[str, Parameter]) -> list[Row]:
    """Return `rows` with defaults filled in and every value of the type of its parameter."""
    convert = {"float": float, "int": int, "bool": bool, "string": str}
    return [
        {
            name: convert[parameter.type](row.get(name, parameter.default))
            for name, parameter in known.items()
            if name in row or parameter.default is not None
        }
        for row in rows
    ]
