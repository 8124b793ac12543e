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
from wheelhouse import toml
from wheelhouse.files import read_input
from wheelhouse.resolve import uv_settings

_OPENING = b"# /// script"
# Without the comment sign.
_CLOSING = "///"
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
        if data is None:
            data = read_input(path)
        data.decode()
    except OSError as error:
        raise ScriptError(path, str(error.strerror), "give the path of a Python script") from error
    except UnicodeDecodeError as error:
        raise ScriptError(path, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    return data, parse_block(path, data)


def parse_block(path: Path, data: bytes) -> dict[str, Any]:
    """Return the tables of the script block in `data`, as uv finds it; none if it has no block. Raises `ScriptError`.

    `path` is for messages.
    uv looks only at the first occurrence of the opening line, which must be the whole line. The block ends at the last
    closing line before the first line that is no comment (PEP 723).
    """
    before, opening, rest = data.partition(_OPENING)
    after, *lines = _lines(rest.decode())
    is_line = after == "" and (not before or before.endswith((b"\n", b"\r")))
    if not opening or not is_line:
        _require_none_meant(path, data.decode())
        return {}
    content = [line[2:] for line in itertools.takewhile(_is_comment, lines)]
    if _CLOSING not in content:
        raise _unclosed(path, content)
    end = len(content)
    while content[end - 1] != _CLOSING:
        end -= 1
    if _has_block(lines[end:]):
        raise ScriptError(path, "has 2 script metadata blocks", "keep only one")
    try:
        return toml.loads("".join(f"{line}\n" for line in content[: end - 1]))
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError, or numbers or nesting beyond Python's limits.
        where = ""
        number = re.search(r"line (\d+)", str(error))
        if number:
            first_line = before.count(b"\n") + 1
            where = f" (line {first_line + int(number[1])} of the script)"
        raise ScriptError(
            path, f"its script metadata is not valid TOML: {error}{where}", _FIX
        ) from error


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
        comments = list(itertools.takewhile(_is_comment, rest))
        if opened[1] == "script" and "# ///" in comments:
            return True
    return False


def _is_comment(line: str) -> bool:
    return line == "#" or line.startswith("# ")


def has_block(data: bytes) -> bool:
    """Return whether the script `data`, which `read_metadata` accepts, has a metadata block."""
    return data.startswith(_OPENING) or b"\n" + _OPENING in data


def no_metadata(path: Path, imports: Sequence[str]) -> ScriptError:
    """Return the error for a script that has no metadata block, but `imports` packages."""
    return ScriptError(
        path,
        f"no inline script metadata, and it imports {', '.join(imports)}",
        f"{_HINT}, or name them: --with {imports[0]}",
    )


def _require_none_meant(path: Path, text: str) -> None:
    """Raise `ScriptError` if somebody meant to write a block in a script in which uv sees none."""
    similar = _SIMILAR.search(text)
    if similar is None:
        if re.search(r"(^|\r)# /// script\r", text):
            raise ScriptError(
                path, "its lines end as no system ends them", "save it with line feeds"
            )
        return
    number = text.count("\n", 0, similar.start()) + 1
    early = text.find(_OPENING.decode())
    if early != -1 and not similar.start() <= early <= similar.end():
        number = text.count("\n", 0, early) + 1
        fact = f'line {number} contains "# /// script", so uv does not look for the block below it'
        hint = "change that line"
    elif similar["before"].startswith("\ufeff"):
        fact = "starts with a byte order mark, which hides the block from uv"
        hint = "save it as UTF-8 without one"
    else:
        fact = f'line {number} is not exactly "# /// script", so uv does not see the block'
        hint = "write it like that, without spaces around"
        if similar["after"] and not similar["after"].strip():
            hint = "remove the spaces at its end"
    raise ScriptError(path, fact, hint)


def _unclosed(path: Path, content: Sequence[str]) -> ScriptError:
    fact = "its script metadata block is not closed"
    hint = 'start every line of it with "#" and end it with "# ///"'
    trailing = [line for line in content if line.startswith(_CLOSING)]
    if trailing:
        fact += f': {f"# {trailing[-1]}"!r} is not exactly "# ///"'
        hint = "remove what follows in that line"
    return ScriptError(path, fact, hint)


def unknown_keys(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each top-level key of a block that uv ignores, with a hint."""
    settings = (*uv_settings.OF_SCRIPTS, *uv_settings.COMMON)
    hints = []
    for key in sorted(metadata):
        if key in _OF_BLOCKS:
            continue
        near = difflib.get_close_matches(key.replace("_", "-"), _OF_BLOCKS, n=1)
        if key in settings:
            hint = f"move it into [tool.uv]: {key}"
        elif near:
            hint = f"did you mean {near[0]}?"
        else:
            hint = f"the keys are {', '.join(_OF_BLOCKS)}"
        hints.append((key, hint))
    return hints


def check(path: Path, metadata: dict[str, Any]) -> tuple[SpecifierSet, tuple[str, ...]]:
    """Return requires-python and the dependencies in `metadata`. Raises `ScriptError` with everything that is wrong."""
    errors = []
    requires_python = metadata.get("requires-python", "")
    specifiers = SpecifierSet()
    try:
        specifiers = SpecifierSet(requires_python)
    except (InvalidSpecifier, TypeError, AttributeError):
        errors.append(f"requires-python {requires_python!r} is not a version specifier")
    dependencies = metadata.get("dependencies", [])
    if not isinstance(dependencies, list):
        errors.append(f"dependencies must be a list (got {dependencies!r})")
        dependencies = []
    for dependency in dependencies:
        try:
            Requirement(dependency)
        except (InvalidRequirement, TypeError) as error:
            errors.append(f"dependency {dependency!r} is invalid ({str(error).splitlines()[0]})")
    tool = metadata.get("tool", {})
    if isinstance(tool, dict) and isinstance(tool.get("uv", {}), dict):
        errors += uv_settings.faults_of(tool.get("uv", {}))
    else:
        errors.append("tool and tool.uv must be tables")
    if errors:
        raise ScriptError(path, "; ".join(errors), _FIX)
    return specifiers, tuple(dependencies)
