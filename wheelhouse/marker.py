"""Which packages of a lock a target needs, as their markers say, for every patch release of its Python."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, cast

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

from wheelhouse.errors import not_as_locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.markers import Environment
    from packaging.pylock import Package

    from wheelhouse.target import Target

_OF_THE_KERNEL = re.compile(r"\bplatform_(release|version)\b")


def undecidable(packages: Iterable[Package], target: Target) -> list[str]:
    """Say which packages are needed or not depending on what nobody knows before the job runs."""
    faults = []
    for package in packages:
        marker = str(package.marker or "")
        if _OF_THE_KERNEL.search(marker):
            faults.append(f"{package.name}: is needed or not depending on the node's kernel ({marker})")
        if target.request.pypys() and "implementation_version" in marker:
            faults.append(f"{package.name}: is needed or not depending on the release of PyPy ({marker})")
    return faults


def representatives(packages: Iterable[Package], environments: Sequence[Environment]) -> list[Environment]:
    """Return those of `environments`, patch releases of one Python, between which a marker may change its mind."""
    named = {"0", "1"}
    for marker in {str(package.marker) for package in packages if package.marker}:
        for patch in re.findall(r"\d+\.\d+\.(\d+)", marker):
            named |= {str(int(patch) + step) for step in (-1, 0, 1)}
    ends = (environments[0], environments[-1])
    return [each for each in environments if each in ends or each["python_full_version"].rpartition(".")[2] in named]


def holding_environments(
    packages: Iterable[Package], environments: Sequence[Environment]
) -> dict[int, list[Environment]]:
    """Return, by identity of the package, the environments in which its marker holds."""
    known: dict[str, list[Environment]] = {"None": list(environments)}
    for package in packages:
        text = str(package.marker)
        if text not in known:
            known[text] = [environment for environment in environments if _holds(package, environment)]
    return {id(package): known[str(package.marker)] for package in packages}


def _holds(package: Package, environment: Environment) -> bool:
    try:
        return package.marker is None or package.marker.evaluate(
            cast("dict[str, str]", environment), context="lock_file"
        )
    except (UndefinedComparison, UndefinedEnvironmentName) as fault:
        raise not_as_locked(str(package.name), [f"its marker means nothing: {package.marker}"]) from fault


def ambiguous(packages: Iterable[Package], holding: Mapping[int, Sequence[Environment]]) -> list[str]:
    """Say which projects the lock names twice for one environment."""
    counts = Counter(
        (str(package.name), environment["python_full_version"])
        for package in packages
        for environment in holding[id(package)]
    )
    return sorted(
        {f"{name}: is locked at several versions at once" for (name, _), count in counts.items() if count > 1}
    )
