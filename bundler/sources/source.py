"""The interface of all kinds of inputs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, ClassVar

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from bundler.manifest import ScriptEntry
from bundler.sources.additions import Additions
from wheelhouse import files
from wheelhouse.errors import redacted
from wheelhouse.resolve import uv_settings
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.target import Target

# The folder in a file URL, which is one of this machine.
_FOLDER = re.compile(r"file:\S*/(?=[^/\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(ABC):
    """An input of `bundle`, read once.

    `path` is the file or project folder that was given. `name` and `data` are the file name and bytes of the script
    that runs on nodes, `tool` is the `[tool]` table. `lock` is the lock file that determines the versions,
    `additions` are the options that affect resolution, and `keep` lists versions ("name==version") to keep where
    possible.
    """

    path: Path
    name: str
    data: bytes
    requires_python: SpecifierSet
    dependencies: tuple[str, ...] = ()
    tool: Mapping[str, Any] = field(default_factory=dict)
    lock: Path | None = None
    additions: Additions = field(default_factory=Additions)
    keep: tuple[str, ...] = ()

    # Whether all versions come from `lock`.
    locked: ClassVar[bool] = False

    @abstractmethod
    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:
        """Resolve for all `targets` together, or return the contents of the lock; `folder` is an empty working folder.

        Raises `UvError` or `LockError`.
        """

    def resolve_for(
        self,
        target: Target,
        folder: Path,
        *,
        prereleases: bool,
        buildable: Collection[str] | None,
    ) -> Resolution:
        """Resolve for `target` alone in the empty `folder`; a lock returns the same for each target.

        Only wheels are used, except for projects that are `buildable` (None for all). `prereleases` allows pre-releases
        that were not requested. Raises the same errors as `resolve`.
        """
        del prereleases, buildable  # For inputs without a lock, which override this.
        return self.resolve([target], folder)

    @property
    def sha256(self) -> str:
        """The SHA-256 digest of the script, in hex."""
        return files.bytes_sha256(self.data)

    @property
    def resolved_with(self) -> tuple[str, ...]:
        """The options that affect resolution as text, without secrets."""
        return tuple(
            _FOLDER.sub("file:", redacted(option)) for option in self.additions.as_options()
        )

    def entry(self) -> ScriptEntry:
        """Return the entry for the manifest."""
        return ScriptEntry(
            name=self.name,
            sha256=self.sha256,
            requires_python=str(self.requires_python),
            dependencies=tuple(map(redacted, self.dependencies)),
            lock_sha256=files.sha256(self.lock) if self.lock else None,
            resolved_with=self.resolved_with,
        )

    def folder(self) -> Path:
        """Return the absolute folder to which paths in the input are relative."""
        return self.path.absolute().parent

    def uv_settings(self) -> dict[str, Any]:
        """Return `[tool.uv]` with absolute paths."""
        return uv_settings.absolute(self.tool.get("uv", {}), self.folder())

    def effective_settings(self) -> dict[str, Any]:
        """Return all settings of uv that count for it, with absolute paths. Raises `WheelhouseError`."""
        return uv_settings.effective(self.uv_settings(), self.folder())

    def direct_projects(self) -> frozenset[str]:
        """Return the projects that it takes from a folder, a repository or an archive, as far as it says so itself."""
        sources = self.tool.get("uv", {}).get("sources", {})
        names = {name for name, source in sources.items() if _is_direct(source)}
        for dependency in self.dependencies:
            requirement = Requirement(dependency)
            if requirement.url and not _is_wheel(requirement.url):
                names.add(requirement.name)
        return frozenset(map(canonicalize_name, names))

    def texts(self) -> list[str]:
        """Return the texts that may contain URLs of indexes and repositories, including secrets."""
        return list(self.dependencies)

    def warnings(self) -> list[str]:
        """Return warnings about settings that are valid but unlikely to be intended."""
        return []

    def includes_others(self) -> bool:
        """Return whether it includes other files, which may have changed unnoticed."""
        return False

    def upgrade_command(self) -> str:
        """Return how to upgrade the package NAME in the lock file."""
        return "run `uv lock --upgrade-package NAME`"


def _is_direct(source: object) -> bool:
    """Return whether one of the tables of a project in `[tool.uv.sources]` names a source to build."""
    for table in source if isinstance(source, list) else [source]:
        if not isinstance(table, dict):
            continue
        location = str(table.get("path") or table.get("url") or "")
        if table.keys() & {"git", "path", "url"} and not _is_wheel(location):
            return True
    return False


def _is_wheel(location: str) -> bool:
    return location.partition("?")[0].partition("#")[0].endswith(".whl")


def runner(path: Path, stem: str) -> tuple[str, bytes]:
    """Return the name and bytes of the script that stands for `path` and runs what a job names."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "inputs"
    block = "# /// script\n# dependencies = []\n# ///\n"
    text = resources("bundler").joinpath("templates/runner.py").read_text(encoding="utf-8")
    origin = ascii(path.absolute().name)[1:-1]
    return f"{name}.py", (block + text.replace("{origin}", origin)).encode()
