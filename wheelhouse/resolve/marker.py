"""The packages of a lock that a target needs according to markers, for every patch release of its Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from packaging.markers import (
    Environment,
    UndefinedComparison,
    UndefinedEnvironmentName,
)
from packaging.pylock import Package

from wheelhouse.errors import not_as_locked
from wheelhouse.target import Target

_OF_THE_KERNEL = re.compile(r"\bplatform_(release|version)\b")
_PATCH = re.compile(r"\d+\.\d+\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A package that a target installs in `environments`, in which its marker is true."""

    package: Package
    environments: Sequence[Environment]


def undecidable(packages: Iterable[Package], target: Target) -> list[str]:
    """Return the packages that depend on properties of the node which are only known when the job runs."""
    errors = []
    for package in packages:
        marker = str(package.marker or "")
        if _OF_THE_KERNEL.search(marker):
            errors.append(
                f"{package.name}: its marker depends on the kernel of the node ({marker})"
            )
        if target.request.pypys() and "implementation_version" in marker:
            errors.append(f"{package.name}: its marker depends on the release of PyPy ({marker})")
    return errors


def representatives(
    packages: Iterable[Package], environments: Sequence[Environment]
) -> list[Environment]:
    """Return those of `environments`, patch releases of one Python, between which a marker can change."""
    named = {0, 1}
    for marker in {str(package.marker) for package in packages}:
        for text in _PATCH.findall(marker):
            patch = int(text)
            named.update((patch - 1, patch, patch + 1))
    ends = (environments[0], environments[-1])
    results = []
    for environment in environments:
        patch = int(environment["python_full_version"].rpartition(".")[2])
        if patch in named or environment in ends:
            results.append(environment)
    return results


def needed_packages(
    packages: Iterable[Package],
    environments: Sequence[Environment],
    groups: Iterable[str],
) -> list[Needed]:
    """Return the packages whose marker is true in some of `environments`, in their order.

    `groups` are the installed dependency groups: the default ones of the lock. Raises
    `LockError` for a marker that cannot be evaluated.
    """
    chosen = frozenset(groups)
    known = {}
    needed = []
    for package in packages:
        text = str(package.marker)
        if text not in known:
            known[text] = _holding(package, environments, chosen)
        if known[text]:
            needed.append(Needed(package=package, environments=known[text]))
    return needed


def _holding(
    package: Package,
    environments: Sequence[Environment],
    groups: frozenset[str],
) -> list[Environment]:
    """Return those of `environments` in which the marker of `package` is true."""
    marker = package.marker
    if marker is None:
        return list(environments)
    holding = []
    for environment in environments:
        variables = {
            **environment,
            "extras": frozenset(),
            "dependency_groups": groups,
        }
        try:
            is_true = marker.evaluate(cast("dict[str, str]", variables), context="lock_file")
        except (UndefinedComparison, UndefinedEnvironmentName) as error:
            raise not_as_locked(str(package.name), [f"its marker is invalid: {marker}"]) from error
        if is_true:
            holding.append(environment)
    return holding


def ambiguous(needed: Iterable[Needed]) -> list[str]:
    """Return the projects that the lock contains twice for the same environment, in alphabetical order."""
    seen = set()
    names = set()
    for entry in needed:
        name = str(entry.package.name)
        for environment in entry.environments:
            key = (name, environment["python_full_version"])
            if key in seen:
                names.add(name)
            seen.add(key)
    return [f"{name}: is locked at several versions for one environment" for name in sorted(names)]
