"""What the command line adds to what sources ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from bundler.errors import ScriptError
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Resolver(Enum):
    """Who chooses versions, as `--resolver` names it."""

    UV = "uv"
    PIP_TOOLS = "pip-tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """Requirements, constraints and overrides as uv has them; with `locked` every source must have a lock."""

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    resolver: Resolver = Resolver.UV
    locked: bool = False

    @property
    def dependencies(self) -> bool:
        """Whether other versions would come of it, whichever resolver it is."""
        return bool(self.requirements or self.constraints or self.overrides)

    @property
    def pip_tools(self) -> bool:
        """Whether it is pip-tools that resolves."""
        return self.resolver is Resolver.PIP_TOOLS

    def as_options(self) -> tuple[str, ...]:
        """Return all of it in words, for the manifest."""
        pairs = (("--with", self.requirements), ("--constraint", self.constraints), ("--override", self.overrides))
        words = tuple(f"{option} {text}" for option, texts in pairs for text in texts)
        return (*words, *((f"--resolver {self.resolver.value}",) if self.pip_tools else ()))


def requirement_lines(path: Path) -> tuple[str, ...]:
    """Return the requirements in a file of one a line; raise `ScriptError` for anything else."""
    with files.explained(path):
        lines = files.read_input(path).decode(errors="replace").splitlines()
    texts = tuple(line for each in lines if (line := re.sub(r"(^|\s+)#.*", "", each).strip()))
    require_requirements(path, texts)
    return texts


def require_requirements(path: Path, texts: Sequence[str]) -> None:
    """Raise `ScriptError` unless each of `texts`, which came from `path`, is a dependency specifier (PEP 508)."""
    for text in texts:
        try:
            Requirement(text)
        except InvalidRequirement as fault:
            raise ScriptError(path, f"{text!r} is no requirement ({str(fault).splitlines()[0]})", "fix it") from fault


def require_no_overrides(path: Path, additions: Additions) -> None:
    """Raise `ScriptError` where pip-tools is to take overrides for the source at `path`."""
    if additions.pip_tools and additions.overrides:
        raise ScriptError(path, "cannot have overrides: pip-tools knows none", "let uv resolve it")


def require_nothing_added(path: Path, lock: Path, additions: Additions) -> None:
    """Raise `ScriptError` where something is added to the source at `path`, of which `lock` decides everything."""
    if additions.dependencies or additions.pip_tools:
        advice = "Leave out --with, --constraint, --override and --resolver, or take the lock away."
        raise ScriptError(path, f"cannot be resolved otherwise than {lock.name} says", advice)
