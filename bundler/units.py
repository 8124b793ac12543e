"""Amounts as people write them: 512 MB, 1.5 GiB, 90 min."""

from __future__ import annotations

import re

from bundler.node.garbage import parse_size

__all__ = ["counted", "parse_duration", "parse_size", "size_text"]

_TENTH_OF_A_MB = 100_000

_SECONDS = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> float:
    """Return the seconds that `value` means: a number of seconds, or a text such as `90 min`. Raises `ValueError`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(|s|min|h|d)\s*", str(value))
    if not found:
        raise ValueError(f"{value!r} is no duration; write it like 90 min or 2 h")
    return float(found[1]) * _SECONDS[found[2]]


def counted(number: int, noun: str) -> str:
    """Return "1 file", "2 files"."""
    return f"{number} {noun}{'s'[: number != 1]}"


def size_text(size: int) -> str:
    """Return `size` bytes as "41.9 MB", or as "3.2 kB" below 0.1 MB."""
    return f"{size / 1e6:.1f} MB" if size >= _TENTH_OF_A_MB else f"{size / 1e3:.1f} kB"
