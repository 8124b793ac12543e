"""What can be bundled: scripts, requirements files, locks and projects, and how each is resolved."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bundler.errors import Faults, ScriptFault, attempt_all
from bundler.sources.script import Script, read_script, require_distinct
from bundler.sources.tool_table import settings_of
from bundler.suggestions import meant
from wheelhouse import files, locks, pip_tools, requirements, resolution, toml, uv_settings
from wheelhouse.errors import UvFailed
from wheelhouse.target import this_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")
_STDIN = Path("-")
PIP_TOOLS = "--resolver pip-tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What the command line adds to what scripts ask for: requirements, constraints and overrides as uv has them.

    With `pip_tools` it is pip-tools that resolves; with `locked` every script must have a lock.
    """

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    pip_tools: bool = False
    locked: bool = False

    def as_options(self) -> tuple[str, ...]:
        """Return all of it in words, for the manifest."""
        pairs = (("--with", self.requirements), ("--constraint", self.constraints), ("--override", self.overrides))
        words = tuple(f"{option} {text}" for option, texts in pairs for text in texts)
        return (*words, *((PIP_TOOLS,) if self.pip_tools else ()))


def requirement_lines(path: Path) -> tuple[str, ...]:
    """Return the requirements in a file of one a line; raise `ScriptFault` for anything else."""
    with files.explained(path):
        lines = files.read_input(path).decode(errors="replace").splitlines()
    found = tuple(line for each in lines if (line := re.sub(r"(^|\s+)#.*", "", each).strip()))
    _require_requirements(path, found)
    return found


def _require_requirements(path: Path, texts: Sequence[str]) -> None:
    for text in texts:
        try:
            Requirement(text)
        except InvalidRequirement as fault:
            raise ScriptFault(path, f"{text!r} is no requirement ({str(fault).splitlines()[0]})", "Fix it.") from fault


def read_inputs(paths: Sequence[Path], extras: Extras) -> list[Script]:
    """Read the inputs of one bundle, `-` being a script on standard input; raise `Faults` with all that is wrong.

    An input that is no script becomes one, which runs whatever a job names in its environment.
    """
    _require_requirements(Path("--with"), extras.requirements)
    # Not Path.resolve, which fails for a link to itself; reading it will, with a sentence.
    distinct = list({path if path == _STDIN else os.path.realpath(path): path for path in paths}.values())
    scripts, faults = attempt_all(lambda path: _checked(_with(_read(path), extras)), distinct)
    faults += require_distinct(scripts)
    if faults:
        raise Faults(faults)
    return scripts


def _checked(script: Script) -> Script:
    """Return `script`; raise `ScriptFault` unless its `[tool.bundler]` can be read."""
    settings_of(script)
    return script


def _read(path: Path) -> Script:
    if path == _STDIN and sys.stdin is None:
        raise ScriptFault(path, "there is no standard input", "Name a script.")
    if path == _STDIN:
        return read_script(Path("stdin.py"), sys.stdin.buffer.read())
    if path.name == "pyproject.toml" or (path.is_dir() and (path / "pyproject.toml").is_file()):
        return _project(path.parent if path.name == "pyproject.toml" else path)
    if _PYLOCK.fullmatch(path.name):
        return _runner(path, path.stem.replace(".", "-"), "pylock", path)
    if path.is_dir():
        raise ScriptFault(path, "is a folder without a pyproject.toml", "Name a script, or the folder of a project.")
    if path.name == "uv.lock":
        raise ScriptFault(path, "is the lock of a project", "Name the folder of the project.")
    if path.suffix in (".txt", ".in"):
        return _runner(path, path.stem, "requirements", path)
    return read_script(path)


def _project(folder: Path) -> Script:
    path = folder / "pyproject.toml"
    with files.explained(path):
        try:
            tables = toml.loads(files.read_input(path).decode())
            project = tables["project"]
            name, requires = str(project["name"]), SpecifierSet(project.get("requires-python", ""))
            dependencies = tuple(map(str, project.get("dependencies", [])))
            tool = tables.get("tool", {})
            faults = uv_settings.faults_of(tool.get("uv", {}))
        except (ValueError, KeyError, TypeError, AttributeError, InvalidSpecifier) as fault:
            raise ScriptFault(path, f"is no project with a name ({fault})", "Fix it.") from fault
    if faults:
        raise ScriptFault(path, "; ".join(faults), "Fix it.")
    if not (folder / "uv.lock").is_file():
        raise ScriptFault(path, "has no uv.lock beside it", "Make it with `uv lock`.")
    runner = _runner(folder, name, "project", folder / "uv.lock")
    return replace(runner, requires_python=requires, dependencies=dependencies, metadata={"tool": tool})


def _runner(path: Path, stem: str, kind: str, lock: Path) -> Script:
    """Return the script that stands for an input without one; `lock` decides what it installs."""
    with files.explained(path):
        files.read_input(lock)
    text = resources("bundler").joinpath("templates/runner.py").read_text(encoding="utf-8")
    block = "# /// script\n# dependencies = []\n# ///\n"
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "inputs"
    return Script(
        path=path.absolute().parent / f"{plain}.py",
        data=(block + text.replace("{origin}", ascii(path.absolute().name)[1:-1])).encode(),
        requires_python=SpecifierSet(),
        dependencies=(),
        metadata={},
        kind=kind,
        source=path,
        lock=lock,
    )


def _with(script: Script, extras: Extras) -> Script:
    """Return `script` with what the command line adds."""
    if extras.locked and script.lock is None:
        raise ScriptFault(script.path, "has no lock beside it", f"Make it with `uv lock --script {script.name}`.")
    if extras.locked and script.kind == "requirements":
        raise ScriptFault(
            script.source or script.path, "is no lock", "Make a pylock.toml of it, or leave out --locked."
        )
    if extras.pip_tools and extras.overrides:
        raise ScriptFault(script.path, "cannot have overrides: pip-tools knows none", "Let uv resolve it.")
    added = extras.requirements or extras.constraints or extras.overrides
    if not added and not extras.pip_tools:
        return script
    if script.kind == "requirements" and added:
        fact = "holds all that it asks for, its bounds too"
        raise ScriptFault(
            script.source or script.path, fact, "Write what --with, --constraint, --override say into it."
        )
    if script.lock is not None and script.kind != "requirements":
        fact = f"cannot be resolved otherwise than {script.lock.name} says"
        advice = "Leave out --with, --constraint, --override and --resolver, or take the lock away."
        raise ScriptFault(script.source or script.path, fact, advice)
    settings: dict[str, Any] = dict(script.metadata.get("tool", {}).get("uv", {}))
    if extras.pip_tools and settings:
        fact = f"has [tool.uv] with {', '.join(sorted(settings))}, which pip-tools would pass over"
        raise ScriptFault(script.path, fact, "Let uv resolve it, or take the table out.")
    for key, texts in (("constraint-dependencies", extras.constraints), ("override-dependencies", extras.overrides)):
        if texts:
            settings[key] = [*settings.get(key, []), *texts]
    tool = {**script.metadata.get("tool", {}), **({"uv": settings} if settings else {})}
    return replace(
        script,
        dependencies=(*script.dependencies, *extras.requirements),
        metadata={**script.metadata, "tool": tool},
        resolved_with=extras.as_options(),
    )


def require_own(scripts: Sequence[Script], targets: Sequence[Target]) -> None:
    """Raise `ScriptFault` where pip-tools is to resolve for another machine or Python than those it runs on."""
    here, own = this_platform(), pip_tools.PYTHON
    for script in scripts:
        for target in targets if PIP_TOOLS in script.resolved_with else ():
            foreign = (target.platform.system, target.platform.machine) != (here.system, here.machine)
            if foreign or str(target.request.series) != own:
                fact = f"pip-tools resolves for Python {own} on this machine only, and not for {target}"
                raise ScriptFault(script.path, fact, "Let uv resolve it, or bundle with that Python there.")


def includes_others(script: Script) -> bool:
    """Return whether `script` stands for a requirements file that includes other files, with -r or -c."""
    if script.kind != "requirements" or script.source is None:
        return False
    with files.explained(script.source):
        return re.search(rb"(?m)^\s*(-[rc]|--(requirement|constraint))", files.read_input(script.source)) is not None


def resolve(script: Script, targets: Sequence[Target], folder: Path) -> Resolution:
    """Resolve `script` for `targets`, or follow its lock; `folder` is an empty one for what that takes.

    Raises `StaleLock`, `UvFailed`, `UnusableLock`, `ResolverFailed`.
    """
    try:
        return _resolve(script, targets, folder)
    except UvFailed as fault:
        fault.hint = fault.hint or meant(fault.words)
        raise


def _resolve(script: Script, targets: Sequence[Target], folder: Path) -> Resolution:
    source = script.source or script.path
    if PIP_TOOLS in script.resolved_with:
        constraints = script.metadata.get("tool", {}).get("uv", {}).get("constraint-dependencies", [])
        if script.kind == "requirements":
            return pip_tools.resolve_requirements(source, script.name, folder, script.keep)
        return pip_tools.resolve(script.name, script.dependencies, constraints, folder, script.keep)
    if script.kind == "requirements":
        return requirements.resolve(source, targets, folder, script.keep)
    if script.lock is not None:
        return _follow_lock(script, source)
    return resolution.resolve(script.wanted(), targets, folder, script.keep)


def _follow_lock(script: Script, source: Path) -> Resolution:
    if script.kind == "pylock":
        return locks.read_pylock(source)
    if script.kind == "project":
        return locks.read_project_lock(source, script.name, script.dependencies)
    return locks.read_script_lock(source, script.dependencies, script.requires_python)


def resolve_for(script: Script, folder: Path) -> Callable[[Target, bool], Resolution]:
    """Return what resolves `script` for one target, wheels only, in the empty `folder`.

    Its second argument says whether pre-releases may be taken that nobody asked for.
    """
    if script.kind == "requirements":
        return lambda target, _: requirements.resolve_for(script.source or script.path, target, folder, script.keep)
    return lambda target, prereleases: resolution.resolve_for(
        script.wanted(), target, folder, script.keep, prereleases=prereleases
    )
