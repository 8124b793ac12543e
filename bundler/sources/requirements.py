"""A requirements file as a source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from bundler.errors import ScriptError
from bundler.sources.additions import require_no_overrides
from bundler.sources.source import Source, runner
from wheelhouse import files, pip_tools, requirements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.sources.additions import Additions
    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target

_INCLUDES = re.compile(rb"(?m)^\s*(-[rc]|--(requirement|constraint))")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementsFile(Source):
    """A requirements file, with the options, constraints and hashes in it."""

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:
        """Resolve for all `targets` at once, by the resolver that was asked for."""
        if self.additions.pip_tools:
            return pip_tools.resolve_requirements(self.path, self.name, folder, self.keep)
        return requirements.resolve(self.path, targets, folder, self.keep)

    def resolve_for(self, target: Target, folder: Path, *, prereleases: bool) -> Resolution:  # noqa: ARG002 - it says
        """Resolve for `target` alone; whether pre-releases may be taken stands in the file."""
        return requirements.resolve_for(self.path, target, folder, self.keep)

    def texts(self) -> list[str]:
        """Return the text of the file and of all that it includes."""
        own = list(requirements.included(self.path).values())
        return [*own, pip_tools.settings()] if self.additions.pip_tools else own

    def includes_others(self) -> bool:
        """Return whether it includes other files, with -r or -c."""
        with files.explained(self.path):
            return _INCLUDES.search(files.read_input(self.path)) is not None


def read_requirements(path: Path, additions: Additions) -> RequirementsFile:
    """Return the requirements file at `path`; raise `ScriptError`, `FileError`."""
    with files.explained(path):
        files.read_input(path)
    if additions.locked:
        raise ScriptError(path, "is no lock", "make a pylock.toml of it, or leave out --locked")
    require_no_overrides(path, additions)
    if additions.dependencies:
        fact = "holds all that it asks for, its bounds too"
        raise ScriptError(path, fact, "write what --with, --constraint, --override say into it")
    name, data = runner(path, path.stem)
    return RequirementsFile(
        path=path, name=name, data=data, requires_python=SpecifierSet(), lock=path, additions=additions
    )
