"""Which wheel of a script needs which other one on a target, according to their METADATA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from wheelhouse.target import Target, parse_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.markers import Environment

    from bundler.assessment.contents import Contents
    from bundler.manifest import ScriptEntry, TargetEntry


def dependencies(
    script: ScriptEntry, target: TargetEntry, wheels: Iterable[Contents]
) -> tuple[set[str], Mapping[str, set[str]]]:
    """Return the projects that `script` needs directly, and for each of its `wheels` the projects that it needs.

    An edge exists if a marker is true for some patch release of the target's Python. Extras count where they are
    requested. Only projects among `wheels` are listed, since overrides can remove dependencies.
    """
    by_project = {contents.project: contents for contents in wheels}
    environments = Target(python=target.python, platform=parse_platform(target.platform)).environments(SpecifierSet())
    ends = [environments[0], environments[-1]]
    direct = [requirement for text in script.dependencies if (requirement := _requirement(text)) is not None]
    edges: dict[str, set[str]] = {project: set() for project in by_project}
    waiting = [("", requirement) for requirement in direct if _applies(requirement, ends, "")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        parent, requirement = waiting.pop()
        project = canonicalize_name(requirement.name)
        if project not in by_project:
            continue
        edges.setdefault(parent, set()).add(project)
        for extra in {"", *map(canonicalize_name, requirement.extras)}:
            if (project, extra) in seen:
                continue
            seen.add((project, extra))
            waiting += [(project, item) for item in by_project[project].requires if _applies(item, ends, extra)]
    return edges.pop("", set()), edges


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
