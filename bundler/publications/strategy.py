"""Strategies: how the environment of a script is created on a node."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bundler.bundle_folder import Bundle
from bundler.errors import BundlerError, ManifestError
from bundler.layout import PUBLICATION
from bundler.lazily import lazily
from bundler.manifest import TargetEntry
from bundler.publications.approval import Policy
from wheelhouse import files
from wheelhouse.errors import FileError
from wheelhouse.store.store import Store

with lazily():
    from bundler.publications import archives  # Needs uv, which the far side may not have.

# Bytes; a larger file would be an attack on memory.
_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A verified bundle that is being published to a store that nodes see at `seen_at`.

    `note` is for its history, `policy` says whose signature is required.
    """

    bundle: Bundle
    store: Store
    seen_at: str
    note: str = ""
    policy: Policy | None = None


class Strategy(ABC):
    """How the environment of a script is created on a node.

    `self_contained` says whether nodes need neither uv nor Python, `has_archives` whether `pack` writes an archive, and
    `has_base` whether it does so from a publication of the same bundle, which must be in the store before.
    """

    name: ClassVar[str]
    self_contained: ClassVar[bool] = False
    has_archives: ClassVar[bool] = True
    has_base: ClassVar[bool] = False

    @abstractmethod
    def require(self, draft: Draft) -> None:
        """Raise `BundlerError` if this strategy cannot publish `draft`."""

    @abstractmethod
    def pack(self, root: Path, script: str, target: TargetEntry, place: str, path: Path) -> None:
        """Write the archive `path` that nodes unpack for `script` on `target`.

        It is made from the publication in `root`, where the script is in the folder `place`.
        """


class Index(Strategy):
    """uv creates the environment from the wheels in the store."""

    name = "index"
    has_archives = False

    def require(self, draft: Draft) -> None:
        """Accept every bundle."""

    def pack(self, root: Path, script: str, target: TargetEntry, place: str, path: Path) -> None:
        """Write nothing."""


class Cache(Strategy):
    """uv creates the environment from a filled cache, which nodes unpack.

    uv's cache refers to wheels by the path of their index, so it serves one publication at one path.
    """

    name = "cache"
    has_base = True

    def require(self, draft: Draft) -> None:
        """Raise `BundlerError` if nodes see the store at another path."""
        if draft.seen_at != str(draft.store.path):
            raise BundlerError(
                f"{draft.store.path}: nodes see it at {draft.seen_at}, but a uv cache only works at one path",
                hint="publish where the path is the same, or use another --strategy",
            )

    def pack(self, root: Path, script: str, target: TargetEntry, place: str, path: Path) -> None:
        """Write a uv cache. Raises `FileError`, `UvError`."""
        archives.pack_cache(root, script, target, place, path)


class Environment(Strategy):
    """Nodes unpack a ready-made environment with its Python."""

    name = "environment"
    self_contained = True

    def require(self, draft: Draft) -> None:
        """Raise `BundlerError` if the bundle has no interpreter for a target."""
        for target in draft.bundle.manifest.targets:
            if target.interpreter is None:
                fact = f"{draft.bundle.folder} includes no Python for {target.name}"
                raise BundlerError(
                    f"{fact}, which the strategy `environment` needs",
                    hint="bundle again with --include-python, or use another --strategy",
                )

    def pack(self, root: Path, script: str, target: TargetEntry, place: str, path: Path) -> None:
        """Write a Python with the wheels installed. Raises `ArchiveError`, `WheelError`, `FileError`."""
        archives.pack_environment(root, script, target, place, path)


INDEX = Index()
STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy for strategy in (INDEX, Cache(), Environment())
}


def read_strategy(folder: Path) -> Strategy:
    """Return the strategy of the publication in `folder`; `index` for a bundle.

    Raises `ManifestError`.
    """
    path = folder / PUBLICATION
    try:
        if not path.exists():
            return INDEX
        name = json.loads(files.read_plain(path, _LIMIT))["strategy"]
        # Version 0.1 used another name for publications from which caches are filled.
        return INDEX if name == "base" else STRATEGIES[name]
    except (FileError, ValueError, KeyError, TypeError, RecursionError):
        raise ManifestError(path, "is not the description of a publication") from None
