"""A pylock.toml (PEP 751) as an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from packaging.specifiers import SpecifierSet

from bundler.sources.additions import Additions, require_nothing_added
from bundler.sources.source import Source, runner
from wheelhouse import files
from wheelhouse.resolve import locks
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class _PylockFile(Source):
    """A pylock.toml, with the versions in it."""

    locked: ClassVar[bool] = True

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:  # noqa: ARG002 - a lock needs neither
        """Return its contents."""
        return locks.read_pylock(self.path)

    def upgrade_command(self) -> str:
        """Return how to upgrade a package in it; the tool that wrote it is unknown."""
        return "lock again with the tool that wrote it"


def read_pylock(path: Path, additions: Additions) -> _PylockFile:
    """Return the pylock.toml at `path`. Raises `ScriptError` or `FileError`."""
    files.read_text(path)
    require_nothing_added(path, path, additions)
    name, data = runner(path, path.stem.replace(".", "-"))
    return _PylockFile(
        path=path,
        name=name,
        data=data,
        requires_python=SpecifierSet(),
        lock=path,
        additions=additions,
    )
