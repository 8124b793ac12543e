"""Where parameters stand in text files: the parameter mappings of HPS, by the keys of its own model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from bundler.sources.parameters import Parameter
from wheelhouse.files import safe_path

_NUMBERS = ("line", "column", "width", "precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A place in the input or output file `file` that HPS replaces by the value of `parameter`, or reads it from.

    The value follows `key_string` and `tokenizer`, or stands at `line` and `column`. The other fields describe how it
    is written; HPS does not document more about them than their names.
    """

    parameter: str
    file: str
    key_string: str | None = None
    tokenizer: str | None = None
    line: int | None = None
    column: int | None = None
    width: int | None = None
    precision: int | None = None
    float_field: str | None = None
    decimal_symbol: str | None = None
    digit_grouping_symbol: str | None = None
    string_quote: str | None = None
    true_string: str | None = None
    false_string: str | None = None


def _key(name: str) -> str:
    return name.replace("_", "-")


def parse_mappings(value: object) -> tuple[Mapping, ...]:
    """Return the mappings in `value`, a list of tables. Raises `TypeError`, `ValueError`."""
    if not isinstance(value, list):
        raise TypeError("must be a list of tables")
    return tuple(_mapping(number, table) for number, table in enumerate(value, 1))


def _mapping(number: int, table: object) -> Mapping:
    if not isinstance(table, dict):
        raise TypeError(f"entry {number} must be a table")
    names = {_key(entry.name): entry.name for entry in fields(Mapping)}
    unknown = sorted(table.keys() - names.keys())
    if unknown:
        raise ValueError(
            f"entry {number} has the unknown key {unknown[0]}; the keys are {', '.join(names)}"
        )
    values = {name: _checked(number, key, table.get(key)) for key, name in names.items()}
    for key in ("parameter", "file"):
        if not values[key]:
            raise ValueError(f"entry {number} has no {key}")
    if not safe_path(str(values["file"])):
        raise ValueError(f"entry {number}: file must be a relative path (got {values['file']!r})")
    if values["key_string"] is None and values["line"] is None:
        raise ValueError(f"entry {number} needs key-string or line")
    return Mapping(**values)


def _checked(number: int, key: str, value: Any) -> Any:
    """Return `value`, of the type that `key` has. Raises `TypeError`."""
    kind = int if key in _NUMBERS else str
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        expected = "an integer" if kind is int else "a string"
        raise TypeError(f"entry {number}: {key} must be {expected} (got {value!r})")
    return value


def problems_of(
    mappings: Sequence[Mapping],
    parameters: Sequence[Parameter],
    files: Sequence[str],
) -> list[str]:
    """Return what is wrong with `mappings` for jobs with these parameters, inputs and outputs, and `files`."""
    names = {parameter.name for parameter in parameters}
    problems = []
    for mapping in mappings:
        if mapping.parameter not in names:
            problems.append(
                f"a mapping names the parameter {mapping.parameter}, which no step declares"
            )
        if mapping.file not in files:
            problems.append(
                f"a mapping names the file {mapping.file}, which no step reads or writes"
            )
    return list(dict.fromkeys(problems))
