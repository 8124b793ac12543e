"""The packages of a lock that a target needs according to markers, for every patch release of its Python."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from packaging.markers import Environment, UndefinedComparison, UndefinedEnvironmentName
from packaging.pylock import Package

from wheelhouse.errors import not_as_locked
from wheelhouse.target import Target

_OF_THE_KERNEL = re.compile(r"\bplatform_(release|version)\b")


def undecidable(packages: Iterable[Package], target: Target) -> list[str]:
    """Return the packages that depend on properties of the node which are only known when the job runs."""
    errors = []
    for package in packages:
        marker = str(package.marker or "")
        if _OF_THE_KERNEL.search(marker):
            errors.append(f"{package.name}: its marker depends on the kernel of the node ({marker})")
        if target.request.pypys() and "implementation_version" in marker:
            errors.append(f"{package.name}: its marker depends on the release of PyPy ({marker})")
    return errors


def representatives(packages: Iterable[Package], environments: Sequence[Environment]) -> list[Environment]:
    """Return those of `environments`, patch releases of one Python, between which a marker can change."""
    named = {"0", "1"}
    for marker in {str(package.marker) for package in packages if package.marker}:
        for patch in re.findall(r"\d+\.\d+\.(\d+)", marker):
            named |= {str(int(patch) + step) for step in (-1, 0, 1)}
    ends = (environments[0], environments[-1])
    return [
        environment
        for environment in environments
        if environment in ends or environment["python_full_version"].rpartition(".")[2] in named
    ]


def holding_environments(
    packages: Iterable[Package], environments: Sequence[Environment], groups: Iterable[str] = ()
) -> dict[int, list[Environment]]:
    """Return, by identity of the package, the environments in which its marker is true.

    `groups` are the dependency groups that are installed, those that the lock declares as default ones.
    """
    chosen = frozenset(groups)
    results: dict[str, list[Environment]] = {"None": list(environments)}
    for package in packages:
        text = str(package.marker)
        if text not in results:
            results[text] = [environment for environment in environments if _holds(package, environment, chosen)]
    return {id(package): results[str(package.marker)] for package in packages}


def _holds(package: Package, environment: Environment, groups: frozenset[str]) -> bool:
    variables = cast("dict[str, str]", {**environment, "extras": frozenset(), "dependency_groups": groups})
    try:
        return package.marker is None or package.marker.evaluate(variables, context="lock_file")
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        raise not_as_locked(str(package.name), [f"its marker is invalid: {package.marker}"]) from error


def ambiguous(packages: Iterable[Package], holding: Mapping[int, Sequence[Environment]]) -> list[str]:
    """Return the projects that the lock contains twice for the same environment."""
    counts = Counter(
        (str(package.name), environment["python_full_version"])
        for package in packages
        for environment in holding[id(package)]
    )
    return sorted(
        {
            f"{name}: is locked at several versions for one environment"
            for (name, _), count in counts.items()
            if count > 1
        }
    )
