"""Requests about many things, a part of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

# IDs in one request: their URL stays below the 8 kB that servers accept.
IDS = 100
_Item = TypeVar("_Item")


def batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Yield the `items` in their order, at most `size` at a time; nothing if there are none."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
