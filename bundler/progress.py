"""How far a long work is, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total` bytes of the work `text`; a plain line where `total` is 0."""

    text: str
    done: int = 0
    total: int = 0
