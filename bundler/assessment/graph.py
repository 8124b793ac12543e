"""Which wheel of a script needs which other one on a target, according to their METADATA."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from bundler.assessment.contents import Contents
from bundler.manifest import ScriptEntry, TargetEntry
from wheelhouse.target import Target, parse_platform


def dependencies(
    script: ScriptEntry, target: TargetEntry, wheels: Iterable[Contents]
) -> tuple[set[str], Mapping[str, set[str]]]:
    """Return the wheels that `script` needs directly, and the wheels that each of `wheels` needs, by file name.

    An edge exists if a marker is true for some patch release of the target's Python. Extras count where they are
    requested. A project may have several versions, for different patch releases. Dependencies that are not among
    `wheels` are left out, since overrides can remove them.
    """
    by_project: dict[str, list[Contents]] = {}
    edges: dict[str, set[str]] = {}
    for contents in wheels:
        by_project.setdefault(contents.project, []).append(contents)
        edges[contents.filename] = set()
    environments = _first_and_last(target)
    direct: set[str] = set()
    # Requirements, each with the wheels to add to.
    waiting: list[tuple[set[str], Requirement]] = []
    for text in script.dependencies:
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(text)
            if _applies(requirement, environments, ""):
                waiting.append((direct, requirement))
    seen: set[tuple[str, str]] = set()
    while waiting:
        needed, requirement = waiting.pop()
        extras = {"", *map(canonicalize_name, requirement.extras)}
        versions = by_project.get(canonicalize_name(requirement.name), [])
        for contents in _meant(requirement, versions):
            needed.add(contents.filename)
            for extra in extras:
                if (contents.filename, extra) in seen:
                    continue
                seen.add((contents.filename, extra))
                further = [
                    item for item in contents.requires if _applies(item, environments, extra)
                ]
                waiting += [(edges[contents.filename], item) for item in further]
    return direct, edges


def _first_and_last(target: TargetEntry) -> list[dict[str, str]]:
    """Return the environments of the first and the last patch release of the target's Python."""
    environments = Target(
        python=target.python, platform=parse_platform(target.platform)
    ).environments(SpecifierSet())
    ends = (environments[0], environments[-1])
    return [{name: str(value) for name, value in environment.items()} for environment in ends]


def _meant(requirement: Requirement, versions: Sequence[Contents]) -> Sequence[Contents]:
    """Return the wheels among `versions` of a project that `requirement` allows; all if it allows none (overrides)."""
    allowed = [
        item for item in versions if requirement.specifier.contains(item.version, prereleases=True)
    ]
    return allowed or versions


def _applies(requirement: Requirement, environments: Iterable[dict[str, str]], extra: str) -> bool:
    marker = requirement.marker
    if marker is None:
        return not extra
    try:
        return any(marker.evaluate({**environment, "extra": extra}) for environment in environments)
    except (ValueError, UndefinedComparison, UndefinedEnvironmentName):
        # Compares what cannot be compared, such as `"3" > "x"`.
        return not extra
