"""A project with its uv.lock as a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bundler.errors import ScriptError
from bundler.sources.additions import require_nothing_added
from bundler.sources.source import Source, runner
from wheelhouse import files, locks, toml, uv_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.sources.additions import Additions
    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Source):
    """The folder of a project, of which the uv.lock is followed as it is."""

    locked: ClassVar[bool] = True

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:  # noqa: ARG002 - a lock needs neither
        """Return what its lock says."""
        return locks.read_project_lock(self.path, self.name, self.dependencies)

    def resolve_for(self, target: Target, folder: Path, *, prereleases: bool) -> Resolution:  # noqa: ARG002 - as above
        """Return what its lock says."""
        return self.resolve([target], folder)

    def folder(self) -> Path:
        """Return the folder of the project."""
        return self.path.absolute()


def read_project(folder: Path, additions: Additions) -> Project:
    """Return the project in `folder`; raise `ScriptError`, `FileError`."""
    path, lock = folder / "pyproject.toml", folder / "uv.lock"
    with files.explained(path):
        try:
            tables = toml.loads(files.read_input(path).decode())
            project = tables["project"]
            name, requires = str(project["name"]), SpecifierSet(project.get("requires-python", ""))
            dependencies = tuple(map(str, project.get("dependencies", [])))
            tool = tables.get("tool", {})
            faults = uv_settings.faults_of(tool.get("uv", {}))
        except (ValueError, KeyError, TypeError, AttributeError, InvalidSpecifier) as fault:
            raise ScriptError(path, f"is no project with a name ({fault})", "fix it") from fault
    if faults:
        raise ScriptError(path, "; ".join(faults), "fix it")
    if not lock.is_file():
        raise ScriptError(path, "has no uv.lock beside it", "make it with `uv lock`")
    with files.explained(folder):
        files.read_input(lock)
    require_nothing_added(folder, lock, additions)
    script, data = runner(folder, name)
    return Project(
        path=folder,
        name=script,
        data=data,
        requires_python=requires,
        dependencies=dependencies,
        tool=tool,
        lock=lock,
        additions=additions,
    )
