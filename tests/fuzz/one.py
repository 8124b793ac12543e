"""Fuzzes one target with atheris, in a process of its own, since libFuzzer ends it.

python -m tests.fuzz.one TARGET [OPTION OF LIBFUZZER]...
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["bundler", "wheelhouse", "packaging"]):
    from tests.fuzz import targets

# What readers of JSON do not think of.
_ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1e999,
    2**70,
    "",
    "../x",
    "/",
    "\ud800",
    "a" * 300,
    "\0",
    [],
    {},
    [[]],
    {"": ""},
]


def mutate(data: bytes, size: int, seed: int) -> bytes:
    """Return `data` changed: as JSON half of the time, where it is JSON, since few other changes leave it that."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    if chance.random() < 0.5:
        try:
            changed = json.dumps(_changed(json.loads(data), chance)).encode()
        except (ValueError, RecursionError):
            changed = b""
        if changed and len(changed) <= size:
            return changed
    return bytes(atheris.Mutate(data, size))


def _changed(value: Any, chance: random.Random) -> Any:
    """Return `value` with something in it replaced, removed or doubled."""
    if isinstance(value, (dict, list)) and value and chance.random() < 0.9:
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        other = _changed(value[key], chance)
        if isinstance(value, list):
            return chance.choice(
                [
                    value[:key] + [other] + value[key + 1 :],
                    value[:key] + value[key + 1 :],
                    value * 2,
                ]
            )
        renamed = chance.choice([key, key, key, str(other)[:20]])
        kept = {each: value[each] for each in value if each != key}
        return chance.choice([{**kept, renamed: other}, {**kept, renamed: other}, kept])
    return chance.choice(_ODD)


def main() -> None:
    """Fuzz the target of the first argument."""
    target, *options = sys.argv[1:]
    # libFuzzer starts this anew by its first argument to merge what it found.
    again = f"{sys.executable} -m tests.fuzz.one {target}"
    atheris.Setup(
        [again, *options], lambda data: targets.check(target, data), custom_mutator=mutate
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
