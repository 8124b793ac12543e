"""A project with a uv.lock as an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from packaging.specifiers import SpecifierSet

from bundler.errors import ScriptError
from bundler.sources.additions import Additions, require_nothing_added
from bundler.sources.source import Source, runner
from wheelhouse import files, toml
from wheelhouse.resolve import locks, uv_settings
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Source):
    """A project folder, with the versions in its uv.lock."""

    locked: ClassVar[bool] = True

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:  # noqa: ARG002 - a lock needs neither
        """Return the contents of its lock file."""
        return locks.read_project_lock(self.path, self.name, self.dependencies)

    def folder(self) -> Path:
        """Return the absolute folder of the project."""
        return self.path.absolute()


def read_project(folder: Path, additions: Additions) -> Project:
    """Return the project in `folder`. Raises `ScriptError` or `FileError`."""
    path = folder / "pyproject.toml"
    lock = folder / "uv.lock"
    with files.explained(path):
        data = files.read_input(path)
    try:
        tables = toml.loads(data.decode())
        project = tables["project"]
        title = str(project["name"])
        requires_python = SpecifierSet(project.get("requires-python", ""))
        dependencies = tuple(map(str, project.get("dependencies", [])))
        tool = tables.get("tool", {})
        errors = uv_settings.faults_of(tool.get("uv", {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScriptError(path, f"is not a project with a name ({error})", "fix it") from error
    if errors:
        raise ScriptError(path, "; ".join(errors), "fix it")
    if not lock.is_file():
        raise ScriptError(path, "has no uv.lock next to it", "create it with `uv lock`")
    files.read_text(lock)
    require_nothing_added(folder, lock, additions)
    name, data = runner(folder, title)
    return Project(
        path=folder,
        name=name,
        data=data,
        requires_python=requires_python,
        dependencies=dependencies,
        tool=tool,
        lock=lock,
        additions=additions,
    )
