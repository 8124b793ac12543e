"""Imports at the top of a file that take no time until the module is used, for commands that start quickly.

Python 3.15 has `lazy import` (PEP 810); until then, this is the recipe of `importlib.util.LazyLoader`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


@contextlib.contextmanager
def lazily() -> Iterator[None]:
    """Import the modules in the block when something in them is used for the first time; packages at once.

    Not for modules that several threads may use first.
    """
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
            spec.loader = LazyLoader(spec.loader)
        return spec
