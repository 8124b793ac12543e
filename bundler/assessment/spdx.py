"""Decide about SPDX licence expressions (annex D of the specification)."""

from __future__ import annotations

import re
from collections.abc import Callable

# Parentheses, operators and licences, with their exceptions.
_WORD = re.compile(r"[()]|[^\s()]+(?:\s+WITH\s+[^\s()]+)?")
# Expressions nest two or three levels; more would be an attack on the stack.
_DEPTH = 50


def satisfies(expression: str, is_allowed: Callable[[str], bool]) -> bool:
    """Return whether somebody who allows the licences for which `is_allowed` is true can use `expression`.

    One side of OR is enough, AND needs both, and AND binds more tightly. "X WITH Y" is asked for as a whole. Raises
    `ValueError` for a malformed expression.
    """
    words = [" ".join(word.split()) for word in _WORD.findall(expression)]
    result = _either(words, is_allowed, 0)
    if words:
        raise ValueError(f"{expression!r} is not a licence expression")
    return result


def _either(words: list[str], is_allowed: Callable[[str], bool], depth: int) -> bool:
    result = _both(words, is_allowed, depth)
    while words[:1] == ["OR"]:
        words.pop(0)
        other = _both(words, is_allowed, depth)
        result = result or other
    return result


def _both(words: list[str], is_allowed: Callable[[str], bool], depth: int) -> bool:
    result = _one(words, is_allowed, depth)
    while words[:1] == ["AND"]:
        words.pop(0)
        other = _one(words, is_allowed, depth)
        result = result and other
    return result


def _one(words: list[str], is_allowed: Callable[[str], bool], depth: int) -> bool:
    word = words.pop(0) if words else ""
    if word == "(" and depth < _DEPTH:
        result = _either(words, is_allowed, depth + 1)
        if words[:1] != [")"]:
            raise ValueError("a parenthesis is missing")
        words.pop(0)
        return result
    if word in ("", "(", ")", "AND", "OR", "WITH"):
        raise ValueError("a licence is missing")
    return is_allowed(word)
