"""The targets of a bundle: the requested ones, or this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

# The oldest platform on which most nodes are, and one for questions that do not depend on the platform.
_COMMON = PLATFORMS["x86_64-manylinux_2_28"]
_COMMON_GLIBC = (2, 28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The targets of a bundle; `note` says which of them nobody requested, "" if all were."""

    targets: list[Target]
    note: str


def requested_targets(
    sources: Sequence[Source], pythons: Sequence[str], platforms: Sequence[str], *, own_python: bool
) -> Choice:
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
    note = _note(targets, has_pythons=bool(pythons), has_platforms=bool(platforms))
    return Choice(targets=targets, note=note)


def _note(targets: Sequence[Target], *, has_pythons: bool, has_platforms: bool) -> str:
    """Return what users may not expect of `targets`, of which Pythons or platforms are defaults."""
    if has_pythons and has_platforms:
        return ""
    pythons = dict.fromkeys(target.python for target in targets)
    text = f"Bundling for Python {' and '.join(pythons)}"
    if has_platforms:
        return text
    (platform,) = {target.platform for target in targets}
    text += f" on {_platform_text(platform)} (this machine)"
    if platform.libc and platform.libc[0] == "glibc" and platform.libc[1:] > _COMMON_GLIBC:
        text += f"\nhint: most nodes have an older system; use --platform {_COMMON.name} for them"
    return text


def _platform_text(platform: Platform) -> str:
    """Return what nodes of `platform` need, for people."""
    if platform.libc is None:
        return f"{platform.system} {platform.machine}"
    name, *numbers = platform.libc
    return f"{name} {'.'.join(map(str, numbers))}"


def targets_for(
    sources: Sequence[Source], pythons: Sequence[str], platforms: Sequence[str]
) -> list[Target]:
    """Return all combinations of `pythons` and `platforms`.

    The default platform is this machine's, the default Python the one that uv would choose for `sources`. Raises
    `CombinedError` with all unknown names, `UvError` if there is no Python that the scripts allow.
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
    return bool(Target(python=python, platform=_COMMON).environments(requires_python))


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
    on this machine that they allow; otherwise the newest release that they allow, which uv would download.
    """
    both = SpecifierSet(",".join(filter(None, (str(source.requires_python) for source in sources))))
    names = ", ".join(source.name for source in sources)
    failure = f"{names}: no Python {both} on this machine"
    allowed = lenient(both)
    named = os.environ.get("UV_PYTHON")
    try:
        version = (
            uv.python_for(named, failure) if named else _pinned_python(sources[0].folder(), allowed)
        )
        if version is None:
            version = uv.python_for(str(allowed), failure)
    except UvError as error:
        released = [minor for minor in released_pythons() if _is_allowed(minor, both)]
        if released and not named:
            return released[-1]
        error.hint = "bundle scripts that need different Pythons separately"
        if len(sources) == 1:
            error.hint = "change requires-python"
        if released:
            error.hint = f"use --python {_allowed_python(both)}"
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
