"""Read and write TOML."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from collections.abc import Mapping

TOMLDecodeError = tomllib.TOMLDecodeError


def loads(text: str) -> dict[str, Any]:
    """Return the tables in `text`. Raises `TOMLDecodeError`, a `ValueError`."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise TOMLDecodeError("is nested too deeply") from None


def value(text: str) -> Any:
    """Return the TOML value `text`, or `text` itself if it is not valid TOML, so that strings need no quotes."""
    try:
        tables = loads(f"value = {text}")
    except TOMLDecodeError:
        return text
    if set(tables) != {"value"}:
        return text
    return tables["value"]


def dumps(tables: Mapping[str, Any]) -> str:
    """Return `tables` as TOML."""
    import tomli_w  # noqa: PLC0415 - reading needs none, and the far side has none

    return tomli_w.dumps(tables)


def script_block(tables: Mapping[str, Any]) -> str:
    """Return `tables` as a script metadata block (PEP 723)."""
    lines = "".join(f"# {line}".rstrip() + "\n" for line in dumps(tables).splitlines())
    return f"# /// script\n{lines}# ///\n"
