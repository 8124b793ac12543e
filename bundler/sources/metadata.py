"""The inline metadata of a script (PEP 723)."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bundler.errors import ScriptError
from wheelhouse import toml, uv_settings
from wheelhouse.files import read_input

_OPENING = b"# /// script"
_HINT = 'add a "# /// script" block (PEP 723) with the dependencies'
_FIX = "fix the metadata block"
# A line that somebody meant as the opening one.
_SIMILAR = re.compile(r"(?mi)^(?P<before>\ufeff?[ \t]*)#[ \t]*///[ \t]*script(?P<after>[^\r\n]*)$")
_OF_BLOCKS = ("dependencies", "requires-python", "tool")


def read_metadata(path: Path, data: bytes | None = None) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of the script `path`, or `data` instead, and the tables of its metadata block.

    Raises `ScriptError`.
    """
    try:
        data = read_input(path) if data is None else data
        data.decode()
    except OSError as error:
        raise ScriptError(path, str(error.strerror), "give the path of a Python script") from error
    except UnicodeDecodeError as error:
        raise ScriptError(path, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    return data, parse_block(path, data)


def parse_block(path: Path, data: bytes) -> dict[str, Any]:
    """Return the tables of the script block in `data`, as uv finds it; `path` is for messages. Raises `ScriptError`.

    uv looks only at the first occurrence of the opening line, which must be the whole line. The block ends at the last
    closing line before the first line that is no comment (PEP 723).
    """
    start = data.find(_OPENING)
    lines = _lines(data[max(start, 0) :].decode())
    if start == -1 or (start and data[start - 1 : start] not in (b"\n", b"\r")) or lines[0] != _OPENING.decode():
        raise _missing(path, data.decode())
    content: list[str] = []
    for line in lines[1:]:
        if line != "#" and not line.startswith("# "):
            break
        content.append(line[2:])
    if "///" not in content:
        raise _unclosed(path, content)
    end = len(content) - 1 - content[::-1].index("///")
    if _has_block(lines[end + 2 :]):
        raise ScriptError(path, "has 2 script metadata blocks", "keep only one")
    first = data[:start].count(b"\n") + 1
    try:
        return toml.loads("\n".join([*content[:end], ""]))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or numbers or nesting beyond Python's limits.
        number = re.search(r"line (\d+)", str(error))
        where = f" (line {first + int(number[1])} of the script)" if number else ""
        raise ScriptError(path, f"its script metadata is not valid TOML: {error}{where}", _FIX) from error


def _lines(text: str) -> list[str]:
    """Return the lines of `text`, which end with a line feed, or with a carriage return and a line feed."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _has_block(lines: Sequence[str]) -> bool:
    """Return whether `lines` contain a complete script block; the line of one may be the content of another block."""
    rest = iter(lines)
    for line in rest:
        opened = re.fullmatch(r"# /// ([a-zA-Z0-9-]+)", line)
        if not opened:
            continue
        comments = list(itertools.takewhile(lambda comment: comment == "#" or comment.startswith("# "), rest))
        if opened[1] == "script" and "# ///" in comments:
            return True
    return False


def _missing(path: Path, text: str) -> ScriptError:
    """Return the error for a script without a block that uv would read, with the reason if somebody meant one."""
    similar = _SIMILAR.search(text)
    early = text.find(_OPENING.decode())
    if early != -1 and not (similar and similar.start() <= early <= similar.end()):
        number = text.count("\n", 0, early) + 1
        fact = f'line {number} contains "# /// script", so uv does not look for the block below it'
        return ScriptError(
            path, fact if similar else "no inline script metadata", "change that line" if similar else _HINT
        )
    if not similar:
        return ScriptError(path, "no inline script metadata", _HINT)
    number = text.count("\n", 0, similar.start()) + 1
    if similar["before"].startswith("\ufeff"):
        return ScriptError(
            path, "starts with a byte order mark, which hides the block from uv", "save it as UTF-8 without one"
        )
    fact = f'line {number} is not exactly "# /// script", so uv does not see the block'
    extra = similar["after"] and not similar["after"].strip()
    return ScriptError(
        path, fact, "remove the spaces at its end" if extra else "write it like that, without spaces around"
    )


def _unclosed(path: Path, content: Sequence[str]) -> ScriptError:
    trailing = [line for line in content if line.startswith("///")]
    if trailing:
        fact = f'its script metadata block is not closed: {f"# {trailing[-1]}"!r} is not exactly "# ///"'
        return ScriptError(path, fact, "remove what follows in that line")
    hint = 'start every line of it with "#" and end it with "# ///"'
    return ScriptError(path, "its script metadata block is not closed", hint)


def unknown_keys(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each top-level key of a block that uv ignores, with a hint."""
    settings = (*uv_settings.OF_SCRIPTS, *uv_settings.COMMON)
    hints = []
    for key in sorted(metadata.keys() - set(_OF_BLOCKS)):
        near = difflib.get_close_matches(key.replace("_", "-"), _OF_BLOCKS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(_OF_BLOCKS)}"
        hints.append((key, f"move it into [tool.uv]: {key}" if key in settings else hint))
    return hints


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
