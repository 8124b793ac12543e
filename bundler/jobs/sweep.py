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
from bundler.suggestions import did_you_mean
from bundler.units import counted
from wheelhouse import files

Row = dict[str, Any]
# More jobs than any site runs; a larger number is most likely a mistake in STEP.
_LIMIT = 1_000_000
_INTEGERS = re.compile(r"\s*[+-]?\d+\s*(:\s*[+-]?\d+\s*)*")
# Of a number, no digits precede the first one that counts.
_ZEROS = re.compile(r"[+-]?0\d")
_HUGE = Decimal(10) ** 300


class _Cell(str):
    """A value as text, whose type depends on that of its parameter."""

    __slots__ = ()


def sweep(texts: Sequence[str]) -> list[Row]:
    """Return one row for each combination of the sweeps `texts`.

    Each is `NAME=START:STOP:STEP`, both ends included, or `NAME=VALUE,VALUE,...`. Raises `SweepError`.
    """
    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        name = name.strip()
        if not name or not values or name in axes:
            raise SweepError(
                f"--sweep {text}",
                "is malformed, or repeats a parameter",
                "write x=0:10:0.5 or x=1,2,5",
            )
        axes[name] = _values(text, values)
    if math.prod(map(len, axes.values())) > _LIMIT:
        raise SweepError(
            f"--sweep {' '.join(texts)}",
            f"makes more than {_LIMIT} jobs",
            "use a larger STEP",
        )
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _values(text: str, values: str) -> list[Any]:
    parts = values.split(":")
    if len(parts) == 1:
        return [_Cell(part.strip()) for part in values.split(",")]
    subject = f"--sweep {text}"
    try:
        start, step, steps = _parse_range(parts)
    except (ArithmeticError, ValueError):
        hint = "write x=START:STOP:STEP with a STEP other than 0"
        raise SweepError(subject, "is not a range of numbers", hint) from None
    if steps < 0:
        sign = "positive" if step < 0 else "negative"
        raise SweepError(subject, "never reaches STOP", f"use a {sign} STEP")
    if steps >= _LIMIT:
        raise SweepError(subject, f"has more than {_LIMIT} values", "use a larger STEP")
    kind: type[int | float] = float
    if _INTEGERS.fullmatch(values):
        kind = int
    # Decimals, so that 0:1:0.1 ends with 1 and does not contain 0.30000000000000004.
    return [kind(start + number * step) for number in range(int(steps) + 1)]


def _parse_range(parts: Sequence[str]) -> tuple[Decimal, Decimal, Decimal]:
    """Return START, STEP and the number of steps to STOP. Raises `ArithmeticError`, `ValueError`."""
    start, stop, step = map(Decimal, parts)
    steps = (stop - start) / step
    for value in (start, stop, step, steps):
        if not value.is_finite() or abs(value) >= _HUGE:
            raise ValueError(value)
    return start, step, steps


def read_table(path: Path) -> list[Row]:
    """Return the rows of a CSV file with a header, or of a JSON list of objects. Raises `SweepError`."""
    with files.explained(path):
        text = files.read_input(path).decode("utf-8-sig", "replace")
    parse = _csv_rows
    if path.suffix.casefold() == ".json":
        parse = _json_rows
    rows = parse(path, text)
    if not rows:
        raise SweepError(str(path), "has no rows", "write one row for each job")
    return rows


def _json_rows(path: Path, text: str) -> list[Row]:
    try:
        rows = json.loads(text)
        if isinstance(rows, list):
            return list(map(dict, rows))
    except (ValueError, TypeError, RecursionError) as error:
        raise SweepError(
            str(path),
            f"is not a list of objects ({error})",
            "fix the file",
        ) from error
    return []


def _csv_rows(path: Path, text: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        raise SweepError(
            str(path),
            f"line {reader.line_num}: {error}",
            "fix the file",
        ) from error
    if not lines:
        return []
    names = list(map(str.strip, lines.pop(0)[1]))
    for number, line in lines:
        if len(line) != len(names):
            raise SweepError(
                str(path),
                f"line {number} does not have one value for each name",
                "fix the file",
            )
    if not _are_names(names):
        fact = "its first line has no parameter names, repeats one, or has no commas"
        raise SweepError(str(path), fact, "fix the file")
    rows = []
    for _, line in lines:
        cells = [_Cell(text.strip()) for text in line]
        rows.append(dict(zip(names, cells, strict=True)))
    return rows


def _are_names(header: Sequence[str]) -> bool:
    """Return whether `header` has a different name for each column, and was split at the right character."""
    if "" in header or len(set(header)) < len(header):
        return False
    return len(header) > 1 or not re.search(r"[;\t]", header[0])


def parameters(rows: Sequence[Row], known: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters that `rows` use and those in `known`, with their types.

    If scripts declare parameters, undeclared names are errors. An int is a float if another row has a float, and
    anything is text if another row has text. An empty cell stands for the default. Raises `SweepError` for invalid
    values.
    """
    declared = {parameter.name: parameter for parameter in known}
    result, problems = [], []
    for name in dict.fromkeys(itertools.chain(declared, *rows)):
        if not name:
            problems.append("a parameter has an empty name")
            continue
        if declared and name not in declared:
            near = did_you_mean(name, declared) or f"declared: {', '.join(sorted(declared))}"
            problems.append(f"no script declares {name} ({near})")
            continue
        try:
            result.append(_complete_parameter(name, declared.get(name), rows))
        except (ValueError, OverflowError) as error:
            problem = str(error)
            if not problem.startswith(name):
                problem = f"{name}: {problem}"
            problems.append(problem)
    if problems:
        raise SweepError("parameters", "; ".join(problems), "fix the values")
    return result


def _complete_parameter(name: str, declared: Parameter | None, rows: Sequence[Row]) -> Parameter:
    """Return the parameter `name`, which each of `rows` has a value of, or which has a default.

    Raises `ValueError`, `OverflowError`.
    """
    parameter = _parameter(name, declared, [row[name] for row in rows if _has_value(row, name)])
    without = sum(name not in row or not _can_have(parameter, row[name]) for row in rows)
    if without and parameter.default is None:
        raise ValueError(f"{name} has no value in {counted(without, 'job')}")
    return parameter


def _has_value(row: Row, name: str) -> bool:
    return name in row and not _is_empty(row[name])


def _is_empty(value: Any) -> bool:
    return isinstance(value, _Cell) and not value


def _can_have(parameter: Parameter, value: Any) -> bool:
    """Return whether `value` is one for `parameter`: only text can be empty."""
    return parameter.type == "string" or not _is_empty(value)


def _parameter(
    name: str,
    declared: Parameter | None,
    values: Sequence[Any],
) -> Parameter:
    """Return the parameter `name` as `declared`, or with the type of its `values`.

    Raises `ValueError`, `OverflowError` for a value that it cannot have.
    """
    if declared is None:
        types = {type_of(_guess(value)) for value in values}
        kind = "string"
        if len(types) == 1:
            kind = types.pop()
        elif types == {"int", "float"}:
            kind = "float"
        declared = Parameter(name=name, type=kind)
    for value in values:
        check_value(replace(declared, default=_typed(declared, value)))
    return declared


def _typed(parameter: Parameter, value: Any) -> Any:
    """Return `value` with the type of `parameter`. Raises `ValueError`, `OverflowError` if that is impossible."""
    if parameter.type == "string":
        type_of(value)
        return str(value)
    plain = value
    if isinstance(value, _Cell):
        plain = _parsed(value)
    kind = type_of(plain)
    if kind == parameter.type:
        return plain
    if kind == "int" and parameter.type == "float":
        return float(plain)
    if kind == "float" and parameter.type == "int" and plain.is_integer():
        return int(plain)
    if kind == "int" and parameter.type == "bool" and plain in (0, 1):
        return bool(plain)
    raise ValueError(f"{parameter.name} must be of type {parameter.type} (got {plain!r})")


def _guess(value: Any) -> Any:
    """Return a cell as the number or boolean that it looks like, or as text; and any other value as it is.

    What starts with zeros is an identifier, such as 00123.
    """
    if not isinstance(value, _Cell):
        return value
    if _ZEROS.match(value):
        return str(value)
    return _parsed(value)


def _parsed(text: str) -> bool | float | str:
    """Return `text` as a boolean or a number if it is one."""
    folded = text.casefold()
    if folded in ("true", "false"):
        return folded == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number) and "_" not in text:
            return number
    return str(text)


def complete(rows: Sequence[Row], known: Mapping[str, Parameter]) -> list[Row]:
    """Return `rows` with defaults, and each value with the type of its parameter."""
    result = []
    for row in rows:
        values = {}
        for name, parameter in known.items():
            value = parameter.default
            if _has_value(row, name) or (value is None and name in row):
                value = row[name]
            if value is not None:
                values[name] = _typed(parameter, value)
        result.append(values)
    return result
