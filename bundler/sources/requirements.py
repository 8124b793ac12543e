"""A requirements file as an input."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from bundler.errors import ScriptError
from bundler.sources.additions import Additions, require_no_overrides
from bundler.sources.source import Source, runner
from wheelhouse import files
from wheelhouse.resolve import pip_tools, requirements
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class _RequirementsFile(Source):
    """A requirements file, with its options, constraints and hashes."""

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:
        """Resolve for all `targets` together, with the chosen resolver."""
        if self.additions.pip_tools:
            return pip_tools.resolve_requirements(self.path, self.name, folder, self.keep)
        return requirements.resolve(self.path, targets, folder, self.keep)

    def resolve_for(
        self,
        target: Target,
        folder: Path,
        *,
        prereleases: bool,  # noqa: ARG002 - the file itself decides about them
        buildable: Collection[str] | None,
    ) -> Resolution:
        """Resolve for `target` alone; the file itself decides about pre-releases."""
        return requirements.resolve_for(self.path, target, folder, self.keep, buildable=buildable)

    def texts(self) -> list[str]:
        """Return the text of the file and of all files that it includes."""
        texts = list(requirements.read(self.path).texts.values())
        if self.additions.pip_tools:
            texts.append(pip_tools.settings())
        return texts

    def includes_others(self) -> bool:
        """Return whether it includes other files with -r or -c."""
        return len(requirements.read(self.path).texts) > 1


def read_requirements(path: Path, additions: Additions) -> _RequirementsFile:
    """Return the requirements file at `path`. Raises `ScriptError` or `FileError`."""
    files.read_text(path)
    if additions.locked:
        raise ScriptError(
            path,
            "is not a lock file, but --locked requires one",
            "export a pylock.toml and bundle that",
        )
    require_no_overrides(path, additions)
    if additions.dependencies:
        fact = "a requirements file cannot be combined with --with, --constraint or --override"
        raise ScriptError(path, fact, "write the requirements and constraints into the file")
    name, data = runner(path, path.stem)
    return _RequirementsFile(
        path=path,
        name=name,
        data=data,
        requires_python=SpecifierSet(),
        lock=path,
        additions=additions,
    )
