"""Imports at the top of a file that take no time until the module is used, for commands that start quickly.

Python 3.15 has `lazy import` (PEP 810). `importlib.util.LazyLoader` does the same, but before Python 3.12 two threads
that use a module at the same time may see half of it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def lazily() -> Iterator[None]:
    """Import the modules in the block when something in them is used for the first time; packages at once."""
    finder = _LazyFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LazyFinder(MetaPathFinder):
    """Finds modules as Python does, and defers what they do."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what Python needs to import the module `fullname`, or None if it is elsewhere."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations is None:
            spec.loader = _LazyLoader(spec.loader)
        return spec


class _LazyLoader(Loader):
    """Runs a module when it is used; other threads that use it wait until it has run."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._lock = threading.RLock()
        self._is_running = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module for `spec`, or None for an ordinary one."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Defer what `module` does."""
        spec = module.__spec__
        assert spec is not None  # noqa: S101 - Python has set it
        spec.loader = module.__loader__ = self._loader
        spec.loader_state = self
        module.__class__ = _LazyModule

    def run(self, module: ModuleType) -> None:
        """Run `module`, unless it has run, or this thread is running it. Raises what it raises."""
        with self._lock:
            kind: type[ModuleType] = type(module)
            if kind is not _LazyModule or self._is_running:
                return
            self._is_running = True
            try:
                self._loader.exec_module(module)
            finally:
                self._is_running = False
            module.__class__ = ModuleType


class _LazyModule(ModuleType):
    """A module that has not run yet."""

    def __getattribute__(self, name: str) -> Any:
        spec = ModuleType.__getattribute__(self, "__spec__")
        # Python asks for it when another module imports this one, too.
        if name != "__spec__":
            spec.loader_state.run(self)
        # It is an ordinary module by now.
        return ModuleType.__getattribute__(self, name)
