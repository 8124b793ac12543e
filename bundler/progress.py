"""Progress, notes and warnings of long work, for the code that shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step of the work with `done` of `total` bytes (0 if it has no size), or a note or warning about it."""

    text: str
    done: int = 0
    total: int = 0
    kind: Literal["step", "note", "warning"] = "step"


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report nothing."""
