"""The inline metadata of a script (PEP 723)."""

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

# The regular expression of the inline script metadata specification.
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_OPENED = re.compile(r"(?m)^# /// script\s*$")
_HINT = 'add a "# /// script" block (PEP 723) with the dependencies'
_FIX = "fix the metadata block"


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
        raise ScriptError(path, f"has {len(blocks)} script metadata blocks", "keep only one")
    if not blocks:
        if _OPENED.search(text):
            raise ScriptError(
                path,
                "its script metadata block is not closed",
                'start every line of it with "#" and end it with "# ///"',
            )
        raise ScriptError(path, "no inline script metadata", _HINT)
    first = text[: blocks[0].start("content")].count("\n") + 1
    # Like the reference implementation of the specification.
    content = "".join(
        line[2:] if line.startswith("# ") else line[1:] for line in blocks[0]["content"].splitlines(keepends=True)
    )
    try:
        return toml.loads(content)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or numbers or nesting beyond Python's limits.
        line = re.search(r"line (\d+)", str(error))
        where = f" (line {first - 1 + int(line[1])} of the script)" if line else ""
        raise ScriptError(path, f"its script metadata is not valid TOML: {error}{where}", _FIX) from error


def check(path: Path, metadata: dict[str, Any]) -> tuple[SpecifierSet, tuple[str, ...]]:
    """Return requires-python and the dependencies in `metadata`. Raises `ScriptError` with everything that is wrong."""
    errors = []
    requires_python, dependencies = metadata.get("requires-python", ""), metadata.get("dependencies", [])
    specifiers = SpecifierSet()
    try:
        specifiers = SpecifierSet(requires_python)
    except (InvalidSpecifier, TypeError, AttributeError):
        errors.append(f"requires-python {requires_python!r} is not a version specifier")
    if not isinstance(dependencies, list):
        errors.append(f"dependencies must be a list (got {dependencies!r})")
        dependencies = []
    for dependency in dependencies:
        try:
            Requirement(dependency)
        except (InvalidRequirement, TypeError) as error:
            errors.append(f"dependency {dependency!r} is invalid ({str(error).splitlines()[0]})")
    if not isinstance(metadata.get("tool", {}), dict) or not isinstance(metadata.get("tool", {}).get("uv", {}), dict):
        errors.append("tool and tool.uv must be tables")
    else:
        errors += uv_settings.faults_of(metadata.get("tool", {}).get("uv", {}))
    if errors:
        raise ScriptError(path, "; ".join(errors), _FIX)
    return specifiers, tuple(dependencies)
