"""Which wheel of a script needs which other one on a target, according to their METADATA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from packaging.markers import Environment, UndefinedComparison, UndefinedEnvironmentName
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
    for contents in wheels:
        by_project.setdefault(contents.project, []).append(contents)
    environments = Target(python=target.python, platform=parse_platform(target.platform)).environments(SpecifierSet())
    ends = [environments[0], environments[-1]]
    direct = [requirement for text in script.dependencies if (requirement := _requirement(text)) is not None]
    edges: dict[str, set[str]] = {contents.filename: set() for items in by_project.values() for contents in items}
    waiting = [("", requirement) for requirement in direct if _applies(requirement, ends, "")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        parent, requirement = waiting.pop()
        for contents in _meant(requirement, by_project.get(canonicalize_name(requirement.name), [])):
            edges.setdefault(parent, set()).add(contents.filename)
            for extra in {"", *map(canonicalize_name, requirement.extras)}:
                if (contents.filename, extra) not in seen:
                    seen.add((contents.filename, extra))
                    needed = [item for item in contents.requires if _applies(item, ends, extra)]
                    waiting += [(contents.filename, item) for item in needed]
    return edges.pop("", set()), edges


def _meant(requirement: Requirement, versions: Sequence[Contents]) -> Sequence[Contents]:
    """Return the wheels among `versions` of a project that `requirement` allows; all if it allows none (overrides)."""
    allowed = [item for item in versions if requirement.specifier.contains(item.version, prereleases=True)]
    return allowed or versions


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _applies(requirement: Requirement, environments: Iterable[Environment], extra: str) -> bool:
    if requirement.marker is None:
        return not extra
    try:
        return any(requirement.marker.evaluate({**_texts(environment), "extra": extra}) for environment in environments)
    except (
        ValueError,
        UndefinedComparison,
        UndefinedEnvironmentName,
    ):  # Compares what cannot be compared, such as `"3" > "x"`.
        return not extra


def _texts(environment: Environment) -> dict[str, str]:
    return {name: str(value) for name, value in environment.items()}
