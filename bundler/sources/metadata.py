"""The metadata block of a script (PEP 723)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bundler.errors import ScriptError
from wheelhouse import toml, uv_settings
from wheelhouse.files import read_input

if TYPE_CHECKING:
    from pathlib import Path

# The expression that the specification of inline script metadata gives.
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_OPENED = re.compile(r"(?m)^# /// script\s*$")
_HINT = 'Add a "# /// script" block (PEP 723) that names its dependencies.'


def read_metadata(path: Path, data: bytes | None = None) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of the script `path`, or `data` instead, and the tables of its metadata block.

    Raises `ScriptError`.
    """
    try:
        data = read_input(path) if data is None else data
        text = data.decode()
    except OSError as error:
        raise ScriptError(path, str(error.strerror), "give the path of a Python script") from error
    except UnicodeDecodeError as error:
        raise ScriptError(path, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    if text.startswith("\ufeff"):
        raise ScriptError(
            path, "starts with a byte order mark, which uv does not accept", "save it as UTF-8 without one"
        )
    return data, parse_block(path, text.replace("\r\n", "\n"))


def parse_block(path: Path, text: str) -> dict[str, Any]:
    """Return the tables of the script block in `text`; `path` is for messages. Raises `ScriptError`."""
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if len(blocks) > 1:
        raise ScriptError(path, f"has {len(blocks)} script metadata blocks", "keep one")
    if not blocks:
        if _OPENED.search(text):
            raise ScriptError(
                path,
                "its script metadata block does not end",
                'Every line of it starts with "#", and the last one is "# ///".',
            )
        raise ScriptError(path, "no inline script metadata", _HINT)
    first = text[: blocks[0].start("content")].count("\n") + 1
    # As the specification's reference implementation strips it.
    content = "".join(
        line[2:] if line.startswith("# ") else line[1:] for line in blocks[0]["content"].splitlines(keepends=True)
    )
    try:
        return toml.loads(content)
    except (ValueError, RecursionError) as fault:  # TOMLDecodeError, and numbers and nesting beyond Python's limits
        line = re.search(r"line (\d+)", str(fault))
        where = f" (line {first - 1 + int(line[1])} of the script)" if line else ""
        raise ScriptError(path, f"its script metadata is not TOML: {fault}{where}", "fix the block") from fault


def check(path: Path, metadata: dict[str, Any]) -> tuple[SpecifierSet, tuple[str, ...]]:
    """Return requires-python and dependencies of `metadata`; raise `ScriptError` with all that is wrong in it."""
    faults = []
    requires_python, dependencies = metadata.get("requires-python", ""), metadata.get("dependencies", [])
    specifiers = SpecifierSet()
    try:
        specifiers = SpecifierSet(requires_python)
    except (InvalidSpecifier, TypeError, AttributeError):
        faults.append(f"requires-python {requires_python!r} is no version specifier")
    if not isinstance(dependencies, list):
        faults.append(f"dependencies is {dependencies!r}, not a list")
        dependencies = []
    for dependency in dependencies:
        try:
            Requirement(dependency)
        except (InvalidRequirement, TypeError) as fault:
            faults.append(f"dependency {dependency!r} is no dependency specifier ({str(fault).splitlines()[0]})")
    if not isinstance(metadata.get("tool", {}), dict) or not isinstance(metadata.get("tool", {}).get("uv", {}), dict):
        faults.append("tool or tool.uv is not a table")
    else:
        faults += uv_settings.faults_of(metadata.get("tool", {}).get("uv", {}))
    if faults:
        raise ScriptError(path, "; ".join(faults), "fix the block")
    return specifiers, tuple(dependencies)
