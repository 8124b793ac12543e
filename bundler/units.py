"""Sizes and durations as people write them: 512 MB, 1.5 GiB, 90 min."""

from __future__ import annotations

import re

from bundler.node.garbage import parse_size

__all__ = ["counted", "parse_duration", "parse_size", "size_text"]

_TENTH_OF_A_MB = 100_000

_SECONDS = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> float:
    """Return the seconds in `value`: a number of seconds above 0, or text such as `90 min`. Raises `ValueError`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(|s|min|h|d)\s*", str(value))
    if not match:
        raise ValueError(f"must be a duration such as 90 min or 2 h (got {value!r})")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if not seconds:
        raise ValueError(f"must be longer than 0 (got {value!r})")
    return seconds


def counted(number: int, noun: str) -> str:
    """Return "1 file" or "2 files"."""
    return f"{number} {noun}{'s'[: number != 1]}"


def size_text(size: int) -> str:
    """Return `size` bytes as "41.9 MB", or as "3.2 kB" below 0.1 MB."""
    return f"{size / 1e6:.1f} MB" if size >= _TENTH_OF_A_MB else f"{size / 1e3:.1f} kB"
