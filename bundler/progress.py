"""Progress, notes and warnings of long work, for the code that shows them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

_T = TypeVar("_T")


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


def finish(work: Generator[Progress, None, _T], report: Report) -> _T:
    """Run `work` to its end and return its result."""
    with contextlib.closing(work):  # An interrupt may come between two steps.
        while True:
            try:
                progress = next(work)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
            report(progress)
