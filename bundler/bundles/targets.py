"""The targets of a bundle: what was asked for, or this machine."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bundler.errors import CombinedError, attempt_all
from bundler.sources.reader import require_own
from bundler.sources.tool_table import settings_of
from wheelhouse import uv
from wheelhouse.errors import PythonRequestError, UvError, python_refused
from wheelhouse.python_request import parse_python_request
from wheelhouse.target import PLATFORMS, Target, parse_platform, this_platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.sources.source import Source


# For questions to which the platform does not matter.
_ANY = PLATFORMS["x86_64-manylinux_2_28"]


def requested_targets(
    sources: Sequence[Source], pythons: Sequence[str], platforms: Sequence[str], *, own_python: bool
) -> list[Target]:
    """Return the targets of `pythons` and `platforms`, else those that `sources` name, else this machine.

    With `own_python` the Python is the one that runs this, unless one is named. Raises what `targets_for`,
    `require_own` and `require_allowed` raise.
    """
    said = [settings_of(source.path, source.tool) for source in sources]
    pythons = pythons or tuple(dict.fromkeys(each for about in said for each in about.pythons))
    platforms = platforms or tuple(dict.fromkeys(each for about in said for each in about.platforms))
    if own_python and not pythons:
        pythons = (f"{sys.version_info.major}.{sys.version_info.minor}",)
    targets = targets_for(sources, pythons, platforms)
    require_own(sources, targets)
    require_allowed(sources, targets)
    return targets


def targets_for(sources: Sequence[Source], pythons: Sequence[str], platforms: Sequence[str]) -> list[Target]:
    """Return the targets that every Python of `pythons` and every platform of `platforms` make together.

    Without `platforms` it is this machine, without `pythons` the Python that uv would choose here for `sources`.
    Raises `CombinedError` with all unknown names, `UvError` when this machine has no Python that the scripts allow.
    """
    known_platforms, faults = attempt_all(parse_platform, platforms)
    known_pythons, more = attempt_all(_known_pythons, pythons)
    if faults + more:
        raise CombinedError(faults + more)
    chosen = [python for those in known_pythons for python in those] or [_default_python(sources)]
    targets = {
        Target(python=python, platform=platform)
        for platform in known_platforms or [this_platform()]
        for python in chosen
    }
    # An execution script takes the first that fits: the one for the newest C library, then the newest Python.
    newest_first = sorted(targets, key=_age, reverse=True)
    return sorted(newest_first, key=lambda target: (target.platform.system, target.platform.machine))


def require_allowed(sources: Sequence[Source], targets: Sequence[Target]) -> None:
    """Raise `CombinedError` with every script whose requires-python leaves out the Python of a target."""
    faults = []
    for source in sources:
        refused = {target.request.version for target in targets if not target.environments(source.requires_python)}
        if refused:
            allowed = _allowed_python(source.requires_python)
            faults.append(python_refused(source.name, str(source.requires_python), refused, allowed))
    if faults:
        raise CombinedError(faults)


def _allowed_python(requires_python: SpecifierSet) -> str | None:
    """Return a released Python that `requires_python` allows, as --python takes it, None where there is none.

    It is the newest but one, if that is allowed: few packages have wheels for a Python that is only just out.
    """
    released = released_pythons()
    allowed = [minor for minor in released if Target(python=minor, platform=_ANY).environments(requires_python)]
    return next((minor for minor in reversed(allowed) if minor != released[-1]), allowed[-1] if allowed else None)


def _age(target: Target) -> tuple[tuple[str, int, int], Version, str]:
    return target.platform.libc or ("", 0, 0), Version(target.request.version), target.python


def _known_pythons(text: str) -> list[str]:
    """Return the one Python that `text` names, or the minor versions of a range such as `>=3.11,<3.14`."""
    if re.match(r"\s*[<>=!~]", text):
        try:
            specifier = SpecifierSet(text)
            minors = released_pythons()
            found = [minor for minor in minors if Target(python=minor, platform=_ANY).environments(specifier)]
        except ValueError:  # InvalidSpecifier is one, and so are numbers beyond Python's limits
            raise PythonRequestError(text, "no range of versions") from None
        if not found:
            raise PythonRequestError(text, "uv knows no released Python in this range")
        return found
    python = str(parse_python_request(text))
    if not uv.known_pythons(python):
        raise PythonRequestError(text, "uv knows no such Python")
    return [python]


def released_pythons() -> list[str]:
    """Return the minor versions of CPython that uv knows and that are released, oldest first."""
    return minors(uv.known_pythons("cpython"))


def minors(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the minor versions with a release among `entries` of `uv python list`, oldest first."""
    versions = {Version(entry["version"]) for entry in entries}
    minors = {version.release[:2] for version in versions if not version.is_prerelease}
    return [f"{major}.{minor}" for major, minor in sorted(minors)]


def _default_python(sources: Sequence[Source]) -> str:
    # `==3.12` is meant as `==3.12.*`, see Script.warnings; uv would look for 3.12.0.
    specifiers = [
        re.sub(r"^==\s*(\d+\.\d+)$", r"==\1.*", part)
        for source in sources
        for part in str(source.requires_python).split(",")
    ]
    both = SpecifierSet(",".join(str(source.requires_python) for source in sources if str(source.requires_python)))
    names = ", ".join(source.name for source in sources)
    try:
        version = uv.python_for(",".join(filter(None, specifiers)), f"{names}: this machine has no Python {both}")
    except UvError as fault:
        allowed = _allowed_python(both)
        fault.hint = f"use --python {allowed}" if allowed else "bundle scripts that need different Pythons one by one"
        raise
    return ".".join(version.split(".")[:2])
