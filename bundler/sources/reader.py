"""Read inputs of every kind: the entry point of `bundler.sources`."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from bundler.errors import BundlerError, CombinedError, ScriptError, attempt_all
from bundler.extras import require_pip_tools
from bundler.layout import script_folder
from bundler.path_kinds import kind_of, mismatch
from bundler.sources.additions import Additions, require_requirements
from bundler.sources.project import read_project
from bundler.sources.pylock import read_pylock
from bundler.sources.requirements import read_requirements
from bundler.sources.script import locked_script, read_script, script_with
from bundler.sources.source import Source
from bundler.sources.tool_table import settings_of
from wheelhouse.resolve import pip_tools
from wheelhouse.target import Target, this_platform

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")
_STDIN = Path("-")


def read_sources(paths: Sequence[Path], additions: Additions) -> list[Source]:
    """Read the inputs of a bundle; `-` is a script on standard input. Raises `CombinedError` with all errors."""
    if additions.pip_tools:
        require_pip_tools()
    require_requirements(Path("--with"), additions.requirements)

    def read(path: Path) -> Source:
        source = _read(path, additions)
        settings_of(source.path, source.tool)  # Raises an error for an invalid `[tool.bundler]`.
        return source

    distinct = {}
    for path in paths:
        # Path.resolve() would fail for a link to itself; reading the file gives a better message.
        key = path if path == _STDIN else os.path.realpath(path)
        distinct[key] = path
    sources, errors = attempt_all(read, distinct.values())
    errors += _same_names(sources)
    if errors:
        raise CombinedError(errors)
    return sources


def _read(path: Path, additions: Additions) -> Source:
    if path == _STDIN:
        return script_with(read_script(Path("stdin.py"), sys.stdin.buffer.read()), additions)
    kind = kind_of(path)
    if kind in ("nothing", "bundle", "publication", "store", "archive"):
        raise ScriptError(path, *mismatch(path, "script"))
    if path.name == "pyproject.toml":
        return read_project(path.parent, additions)
    if path.is_dir() and (path / "pyproject.toml").is_file():
        return read_project(path, additions)
    if _PYLOCK.fullmatch(path.name):
        return read_pylock(path, additions)
    if path.is_dir():
        raise ScriptError(
            path,
            "has no pyproject.toml",
            "give a script, or the folder of a project",
        )
    if path.name == "uv.lock":
        raise ScriptError(
            path,
            "is the lock file of a project",
            "give the folder of the project",
        )
    if path.suffix in (".txt", ".in"):
        return read_requirements(path, additions)
    return locked_script(read_script(path), additions)


def _same_names(sources: Sequence[Source]) -> list[Exception]:
    """Return an error for all of `sources` that would write to the same folder of a bundle."""
    makers: dict[str, list[Path]] = {}
    for source in sources:
        name = unicodedata.normalize("NFC", script_folder(source.name)).casefold()
        makers.setdefault(name, []).append(source.path)
    errors: list[Exception] = []
    for paths in makers.values():
        if len(paths) == 1:
            continue
        names = ", ".join(map(str, sorted(paths)))
        errors.append(
            BundlerError(
                f"{names}: file names clash on case-insensitive file systems",
                hint="rename one of them, or bundle them separately",
            )
        )
    return errors


def require_own(sources: Sequence[Source], targets: Sequence[Target]) -> None:
    """Raise `ScriptError` if pip-tools would have to resolve for another platform or Python than its own."""
    here = this_platform()
    own = (here.system, here.machine, pip_tools.PYTHON)
    for source in sources:
        if not source.additions.pip_tools:
            continue
        for target in targets:
            wanted = (target.platform.system, target.platform.machine, str(target.request.series))
            if wanted != own:
                raise ScriptError(
                    source.path,
                    f"pip-tools can only resolve for Python {pip_tools.PYTHON} on this machine, not for {target}",
                    "resolve with uv, or run bundle with that Python on that platform",
                )
