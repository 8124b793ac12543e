"""The strategies: how the environment of a script comes about on a node."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bundler.errors import BundlerError, ManifestError
from bundler.layout import PUBLICATION
from wheelhouse import files
from wheelhouse.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.manifest import File, Manifest, TargetEntry
    from wheelhouse.store import Store

# As for the manifest: more is an attack on memory.
_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A verified bundle on its way into a store that evaluators see at `seen_at`."""

    bundle: Path
    manifest: Manifest
    store: Store
    seen_at: str

    @property
    def wheels(self) -> list[File]:
        """The wheels of the bundle."""
        return [file for file in self.manifest.files if file.path.startswith("wheels/")]


class Strategy(ABC):
    """How the environment of a script comes about on a node.

    `self_contained` says whether nodes need neither uv nor Python, `has_archives` whether `pack` writes something, and
    `has_base` whether it writes that from a publication of the same bundle, which must be in the store first.
    """

    name: ClassVar[str]
    self_contained: ClassVar[bool] = False
    has_archives: ClassVar[bool] = True
    has_base: ClassVar[bool] = False

    @abstractmethod
    def require(self, draft: Draft) -> None:
        """Raise for what this strategy cannot publish."""

    @abstractmethod
    def pack(self, root: Path, script: str, target: TargetEntry, path: Path) -> None:
        """Write what nodes unpack for `script` on `target` to the archive `path`, from the publication in `root`."""


class Index(Strategy):
    """uv makes the environment from the wheels in the store."""

    name = "index"
    has_archives = False

    def require(self, draft: Draft) -> None:
        """Accept every bundle."""

    def pack(self, root: Path, script: str, target: TargetEntry, path: Path) -> None:
        """Write nothing."""


class Cache(Strategy):
    """uv makes the environment from a filled cache, which nodes unpack.

    uv knows wheels in its cache by the path of their index, so a cache serves one publication at one path.
    """

    name = "cache"
    has_base = True

    def require(self, draft: Draft) -> None:
        """Raise `BundlerError` where evaluators see the store at another path."""
        if draft.seen_at != str(draft.store.path):
            raise BundlerError(
                f"{draft.store.path}: evaluators see it at {draft.seen_at}, and a uv cache serves one path only",
                hint="publish where the path is the same, or with another --strategy",
            )

    def pack(self, root: Path, script: str, target: TargetEntry, path: Path) -> None:
        """Write a uv cache; raise `FileError`, `UvError`."""
        from bundler.publications.archives import pack_cache  # calls uv, which the far side may not have

        pack_cache(root, script, target, path)


class Environment(Strategy):
    """Nodes unpack a Python with everything installed."""

    name = "environment"
    self_contained = True

    def require(self, draft: Draft) -> None:
        """Raise `BundlerError` where the bundle lacks an interpreter."""
        for target in draft.manifest.targets:
            if target.interpreter is None:
                raise BundlerError(
                    f"{draft.bundle}: carries no Python for {target.name}, and the strategy `environment` needs one",
                    hint="bundle again with --include-python, or publish with another --strategy",
                )

    def pack(self, root: Path, script: str, target: TargetEntry, path: Path) -> None:
        """Write a Python with the wheels installed; raise `ArchiveError`, `WheelError`, `FileError`."""
        from bundler.publications.archives import pack_environment  # starts slowly

        pack_environment(root, script, target, path)


INDEX = Index()
STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in (INDEX, Cache(), Environment())}


def read_strategy(folder: Path) -> Strategy:
    """Return the strategy of the publication in `folder`; that of a bundle, which has none yet, is `index`.

    Raises `ManifestError`.
    """
    path = folder / PUBLICATION
    try:
        if not path.exists():
            return INDEX
        name = json.loads(files.read_plain(path, _LIMIT))["strategy"]
        # Version 0.1 gave the publications that it filled caches from a name of their own.
        return INDEX if name == "base" else STRATEGIES[name]
    except (FileError, ValueError, KeyError, TypeError, RecursionError):
        raise ManifestError(path, "is no description of a publication") from None
