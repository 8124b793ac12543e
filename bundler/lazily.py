"""Imports at the top of a file that take no time until the module is used, for commands that start quickly.

Python 3.15 has `lazy import` (PEP 810). `importlib.util.LazyLoader` does the same, but before Python 3.12 two threads
that use a module at the same time may see half of it, and it runs a module when somebody only looks at its file name.
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

# Modules of others are imported at once: they may expect to run then.
_OURS = ("bundler.", "wheelhouse.")
# Where a module that has not run keeps its loader.
_STATE = "__lazy_loader__"
# What a module has before it runs, apart from its contents.
_CONTENTS = ("__dict__", "__all__")


@contextlib.contextmanager
def lazily() -> Iterator[None]:
    """Import our modules in the block when something in them is used for the first time; packages at once."""
    finder = _LazyFinder(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LazyFinder(MetaPathFinder):
    """Finds modules as Python does, and defers what they do, if the thread `thread` imports them."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what Python needs to import the module `fullname`, or None if others should find it."""
        if not fullname.startswith(_OURS) or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None or spec.submodule_search_locations is not None:
            return spec
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
        module.__dict__[_STATE] = self
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
            del ModuleType.__getattribute__(module, "__dict__")[_STATE]
            module.__class__ = ModuleType


class _LazyModule(ModuleType):
    """A module that has not run yet."""

    def __getattribute__(self, name: str) -> Any:
        _run_for(self, name)
        # It is an ordinary module by now.
        return ModuleType.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _run_for(self, name)
        ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        _run_for(self, name)
        ModuleType.__delattr__(self, name)


def _run_for(module: ModuleType, name: str) -> None:
    """Run `module` before its attribute `name` is used, unless that says something about the module itself.

    Python and programs that inspect others ask all modules for such names, as for `__file__`.
    """
    is_about_module = name.startswith("__") and name.endswith("__") and name not in _CONTENTS
    if not is_about_module:
        loader: _LazyLoader | None = ModuleType.__getattribute__(module, "__dict__").get(_STATE)
        # Another thread may just have run it.
        if loader is not None:
            loader.run(module)
