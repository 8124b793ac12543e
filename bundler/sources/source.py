"""What all kinds of sources have in common."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any, ClassVar

from bundler.manifest import ScriptEntry
from bundler.sources.additions import Additions
from wheelhouse import files, uv_settings
from wheelhouse.errors import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.specifiers import SpecifierSet

    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(ABC):
    """What somebody wants to run, as it was read once.

    `path` is what was named: a file, or the folder of a project. `name` and `data` are the file name and the bytes of
    the script that runs on nodes, `tool` is the `[tool]` table. `lock` is the file that dictates what it installs,
    `additions` what the command line adds, `keep` the versions ("name==version") that are to stand as far as they can
    when it is resolved.
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

    # Whether all versions are those of `lock`.
    locked: ClassVar[bool] = False

    @abstractmethod
    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:
        """Resolve for all `targets` at once, or follow the lock; `folder` is an empty one for what that takes.

        Raises `UvError`, `LockError`.
        """

    @abstractmethod
    def resolve_for(self, target: Target, folder: Path, *, prereleases: bool) -> Resolution:
        """Resolve for `target` alone, wheels only, in the empty `folder`; a lock says the same for each target.

        `prereleases` says whether those may be taken that nobody asked for. Raises what `resolve` raises.
        """

    @property
    def sha256(self) -> str:
        """The digest of the script's bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def resolved_with(self) -> tuple[str, ...]:
        """What the command line adds, in words, without secrets."""
        return tuple(map(redacted, self.additions.as_options()))

    def entry(self) -> ScriptEntry:
        """Return what the manifest says of it."""
        return ScriptEntry(
            name=self.name,
            sha256=self.sha256,
            requires_python=str(self.requires_python),
            dependencies=tuple(map(redacted, self.dependencies)),
            lock_sha256=files.sha256(self.lock) if self.lock else None,
            resolved_with=self.resolved_with,
        )

    def folder(self) -> Path:
        """Return the absolute folder to which paths in it are relative."""
        return self.path.absolute().parent

    def uv_settings(self) -> dict[str, Any]:
        """Return its `[tool.uv]`, the paths in it made absolute."""
        return uv_settings.absolute(self.tool.get("uv", {}), self.folder())

    def texts(self) -> list[str]:
        """Return the texts that may name indexes and repositories, with whatever secrets are in them."""
        return list(self.dependencies)

    def warnings(self) -> list[str]:
        """Return sentences about what is allowed but hardly meant."""
        return []

    def includes_others(self) -> bool:
        """Return whether it includes other files, of which nobody knows whether they changed."""
        return False

    def upgrade_command(self) -> str:
        """Return what upgrades the package NAME in its lock."""
        return "uv lock --upgrade-package NAME"


def runner(path: Path, stem: str) -> tuple[str, bytes]:
    """Return name and bytes of the script that stands for `path`, which has none: it runs what a job names."""
    text = resources("bundler").joinpath("templates/runner.py").read_text(encoding="utf-8")
    block = "# /// script\n# dependencies = []\n# ///\n"
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "inputs"
    return f"{plain}.py", (block + text.replace("{origin}", ascii(path.absolute().name)[1:-1])).encode()
