"""The targets of a bundle: the requested ones, or this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bundler.errors import CombinedError, attempt_all
from bundler.sources.reader import require_own
from bundler.sources.source import Source
from bundler.sources.tool_table import settings_of
from wheelhouse.errors import PythonRequestError, UvError, WheelhouseError, python_refused
from wheelhouse.python_request import parse_python_request
from wheelhouse.resolve import uv
from wheelhouse.target import PLATFORMS, Platform, Target, lenient, parse_platform, this_platform

# For questions that do not depend on the platform.
_ANY = PLATFORMS["x86_64-manylinux_2_28"]


def requested_targets(
    sources: Sequence[Source], pythons: Sequence[str], platforms: Sequence[str], *, own_python: bool
) -> list[Target]:
    """Return the targets of `pythons` and `platforms`, or of `[tool.bundler]` in `sources`, or of this machine.

    With `own_python`, the default Python is the running one. Raises the errors of `targets_for`, `require_own` and
    `_require_allowed`.
    """
    settings = [settings_of(source.path, source.tool) for source in sources]
    if not pythons:
        pythons = list(dict.fromkeys(name for about in settings for name in about.pythons))
    if not platforms:
        platforms = list(dict.fromkeys(name for about in settings for name in about.platforms))
    if own_python and not pythons:
        pythons = (f"{sys.version_info.major}.{sys.version_info.minor}",)
    targets = targets_for(sources, pythons, platforms)
    require_own(sources, targets)
    _require_allowed(sources, targets)
    return targets


def targets_for(
    sources: Sequence[Source], pythons: Sequence[str], platforms: Sequence[str]
) -> list[Target]:
    """Return all combinations of `pythons` and `platforms`.

    The default platform is this machine's, the default Python the one that uv would choose for `sources`. Raises
    `CombinedError` with all unknown names, `UvError` if this machine has no Python that the scripts allow.
    """
    known_platforms, errors = attempt_all(_known_platform, platforms)
    known_pythons, more = attempt_all(_known_pythons, pythons)
    errors += more
    if errors:
        raise CombinedError(errors)
    chosen_pythons = [python for names in known_pythons for python in names] or [
        _default_python(sources)
    ]
    chosen_platforms = known_platforms or [this_platform()]
    targets = {
        Target(python=python, platform=platform)
        for platform in chosen_platforms
        for python in chosen_pythons
    }
    # An execution script chooses the first that fits: the newest C library, then the newest Python.
    newest_first = sorted(targets, key=_age, reverse=True)
    return sorted(
        newest_first, key=lambda target: (target.platform.system, target.platform.machine)
    )


def _require_allowed(sources: Sequence[Source], targets: Sequence[Target]) -> None:
    """Raise `CombinedError` with every script whose requires-python excludes the Python of a target."""
    errors = []
    for source in sources:
        refused = {
            target.request.version
            for target in targets
            if not target.environments(source.requires_python)
        }
        if refused:
            error = python_refused(source.name, str(source.requires_python), refused)
            allowed = _allowed_python(source.requires_python)
            if allowed:
                error.hint = f"use --python {allowed}, or change requires-python"
            errors.append(error)
    if errors:
        raise CombinedError(errors)


def _allowed_python(requires_python: SpecifierSet) -> str | None:
    """Return a released Python that `requires_python` allows, or None.

    This is the second newest if allowed, because few packages have wheels for a Python that was just released.
    """
    *established, newest = released_pythons()
    for minor in reversed(established):
        if _is_allowed(minor, requires_python):
            return minor
    return newest if _is_allowed(newest, requires_python) else None


def _is_allowed(python: str, requires_python: SpecifierSet) -> bool:
    return bool(Target(python=python, platform=_ANY).environments(requires_python))


def _age(target: Target) -> tuple[tuple[str, int, int], Version, str]:
    return target.platform.libc or ("", 0, 0), Version(target.request.version), target.python


def _known_platform(name: str) -> Platform:
    try:
        return parse_platform(name)
    except WheelhouseError as error:
        if not error.hint.startswith("did you mean"):
            error.hint = "run `bundler targets` for the list"
        raise


def _known_pythons(text: str) -> list[str]:
    """Return the Python named `text`, or the minor versions in a range such as `>=3.11,<3.14`."""
    if re.match(r"\s*[<>=!~]", text):
        try:
            specifier = SpecifierSet(text)
            matches = [minor for minor in released_pythons() if _is_allowed(minor, specifier)]
        except ValueError:  # InvalidSpecifier, or numbers beyond Python's limits.
            raise PythonRequestError(text, "is not a range of versions") from None
        if not matches:
            raise PythonRequestError(text, "matches no released Python") from None
        return matches
    request = parse_python_request(text)
    if not uv.known_pythons(request):
        raise PythonRequestError(text, "is not a Python that uv knows")
    return [str(request)]


def released_pythons() -> list[str]:
    """Return the minor versions of CPython that were released, according to uv, oldest first."""
    return minors(uv.all_pythons("cpython"))


def minors(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the minor versions with a release among `entries` of `uv python list`, oldest first."""
    released = set()
    for entry in entries:
        version = Version(entry["version"])
        if not version.is_prerelease:
            released.add(version.release[:2])
    return [f"{major}.{minor}" for major, minor in sorted(released)]


def _default_python(sources: Sequence[Source]) -> str:
    """Return the Python with which `uv run` would start `sources`.

    It is the one that UV_PYTHON names, or that a .python-version file names if the scripts allow it, or the first one
    on this machine that they allow.
    """
    both = SpecifierSet(",".join(filter(None, (str(source.requires_python) for source in sources))))
    failure = f"{', '.join(source.name for source in sources)}: no Python {both} on this machine"
    allowed = lenient(both)
    named = os.environ.get("UV_PYTHON")
    try:
        version = (
            uv.python_for(named, failure) if named else _pinned_python(sources[0].folder(), allowed)
        )
        if version is None:
            version = uv.python_for(str(allowed), failure)
    except UvError as error:
        other = _allowed_python(both)
        error.hint = (
            f"use --python {other}"
            if other
            else "bundle scripts that need different Pythons separately"
        )
        raise
    return ".".join(version.split(".")[:2])


def _pinned_python(folder: Path, allowed: SpecifierSet) -> str | None:
    """Return the Python of the file .python-version that uv finds for `folder`, or None if it is not `allowed`."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - as above
    places = (folder, *folder.parents, Path(home, "uv"))
    files = [place / name for place in places for name in (".python-version", ".python-versions")]
    if not any(path.is_file() for path in files):
        return None
    try:
        version = uv.python_for("", "no Python of the .python-version file on this machine", folder)
    except UvError:
        return None
    return version if allowed.contains(version, prereleases=True) else None
