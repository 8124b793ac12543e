"""Wheels that exclude the Python of their target: uv ignores upper bounds of Requires-Python, and pip does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bundler.bundles.indexes import Indexes
from bundler.bundles.plan import Plan
from bundler.lazily import lazily
from wheelhouse.errors import WheelhouseError
from wheelhouse.target import Target
from wheelhouse.wheel import Wheel, parse_metadata

with lazily():
    from wheelhouse.select import choice


def exclusions(folder: Path, plan: Plan, indexes: Indexes) -> Iterator[str]:
    """Yield a warning for each wheel in `folder` that does not allow the Python of a target which installs it."""
    stated = {wheel.filename: _requires_python(folder / wheel.filename) for wheel in plan.wheels()}
    asked: set[tuple[str, str]] = set()
    for source in plan.sources:
        for target in plan.targets:
            for pin in plan.installs[source.name, target.name]:
                requires = stated[pin.wheel.filename]
                key = (pin.wheel.filename, target.python)
                if not requires or key in asked:
                    continue
                asked.add(key)
                if choice.is_excluded(requires, target):
                    yield _warning(pin.wheel, requires, target, indexes)


def _requires_python(path: Path) -> str:
    """Return Requires-Python of a wheel; "" if it states none or its METADATA cannot be read, which others report."""
    try:
        return str(parse_metadata(path)[1].get("requires_python", ""))
    except WheelhouseError:
        return ""


def _warning(wheel: Wheel, requires: str, target: Target, indexes: Indexes) -> str:
    places = list(indexes.elsewhere(wheel.project))
    if wheel.index:
        places.insert(0, wheel.index)
    older = choice.newest_allowed(wheel.project, target, places, indexes.credentials, wheel.version)
    advice = (
        f"use --constraint with {wheel.project}=={older}, which allows it"
        if older
        else "use another --python"
    )
    return (
        f"{wheel.project} {wheel.version} excludes Python {target.python} (Requires-Python: {requires}), "
        f"which uv ignores\nhint: {advice}"
    )
