"""Requirements files: resolved with the options, constraints and hashes in them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse import files, uv, uv_settings
from wheelhouse.errors import UvError, not_as_locked
from wheelhouse.resolution import Resolution, Wanted, compiled, plainly, preferences, write_project
from wheelhouse.target import environment_markers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.pylock import Pylock

    from wheelhouse.target import Target

# A name, an option, a URL, a path, a comment or nothing, as far as the first characters tell.
_REQUIREMENT = re.compile(
    r"$|#|-|[A-Za-z0-9][\w.-]*\s*($|[\[(<>=!~;@,#]|--)|[\w+.-]+://|\.{0,2}/[^:]*$|[\w./-]+\.(whl|zip|tar\.\w+|tgz)\b|\$\{"
)
_PRERELEASE = re.compile(r"(?m)^\s*--pre\b|[=<>~]\s*\d[\d.]*(?:a|b|c|rc|\.dev)\d")


def resolve(path: Path, targets: Sequence[Target], folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve the requirements file at `path` for all `targets` at once, in the empty `folder`.

    The versions in `keep` ("name==version") stand as far as they can. Raises `UvError`, and `LockError` where an
    index has no file with one of the hashes.
    """
    project = folder / "settings"
    project.mkdir()
    nothing = Wanted(subject=path.name, dependencies=(), requires_python=SpecifierSet(), settings={})
    around = uv_settings.working_settings(path.absolute().parent)
    variables = write_project(nothing, project, environment_markers(targets, SpecifierSet()), around)
    oldest = min((target.request.minor for target in targets), key=Version)
    lock = preferences(folder, keep)
    try:
        pylock = uv.compile_universal(path.name, path.absolute(), lock, python=oldest, settings=project, env=variables)
    except UvError as fault:
        raise plainly(fault, path.name, targets) from None
    pylock = only_hashed(path.name, replace(pylock, requires_python=None, environments=None), hashes(path))
    return Resolution(subject=path.name, pylock=pylock, locked=False, base=folder)


def resolve_for(path: Path, target: Target, folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve the requirements file at `path` for `target` alone, wheels only; raise as `resolve` does."""
    found = compiled(path.name, path.absolute(), target, folder, keep, None, {})
    asked = any(_PRERELEASE.search(text) for text in included(path).values())
    return replace(found, pylock=only_hashed(path.name, found.pylock, hashes(path)), prereleases=asked)


def included(path: Path) -> dict[Path, str]:
    """Return the text of a requirements file and of all that it includes, by path, its continued lines made one."""
    found: dict[Path, str] = {}
    left = [path]
    while left:
        here = Path(os.path.realpath(left.pop()))  # one name for each, and no fault for a link to itself
        if here in found or (found and not here.is_file()):
            continue
        with files.explained(here):
            found[here] = re.sub(r"\\\r?\n", " ", files.read_input(here).decode(errors="replace"))
        names = re.findall(r"(?m)^\s*(?:-[rc]\s*|--(?:requirement|constraint)[= ]\s*)([^#\n]+)", found[here])
        left += [here.parent / name.strip() for name in names]
    return found


def require_requirements(texts: Mapping[Path, str]) -> None:
    """Raise `LockError` for lines of requirements files, by path, that are none; what they say stays untold.

    A file that includes another one by its path may include one that is nobody's business.
    """
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if not _REQUIREMENT.match(line.strip()):
                raise not_as_locked(path.name, [f"line {number} is no requirement"])


def hashes(path: Path) -> dict[str, set[str]]:
    """Return the SHA-256 digests that a requirements file, and those it includes, allow for each project."""
    return hashes_in("\n".join(included(path).values()).splitlines())


def hashes_in(lines: Iterable[str]) -> dict[str, set[str]]:
    """Return the SHA-256 digests that requirements, one a line, allow for each project that has hashes of any kind."""
    found: dict[str, set[str]] = {}
    for line in lines:
        named = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)
        digests = re.findall(r"--hash[= ]sha256:([0-9a-f]{64})", line)
        if named and "--hash" in line:
            found.setdefault(canonicalize_name(named[1]), set()).update(digests)
    return found


def only_hashed(subject: str, pylock: Pylock, allowed_by_project: Mapping[str, set[str]]) -> Pylock:
    """Return `pylock` with only those files of each package whose SHA-256 is allowed; raise `LockError`."""
    packages, faults = [], []
    for package in pylock.packages:
        allowed = allowed_by_project.get(package.name)
        if allowed:
            wheels = [wheel for wheel in package.wheels or [] if wheel.hashes.get("sha256") in allowed]
            sdist = package.sdist if package.sdist and package.sdist.hashes.get("sha256") in allowed else None
            if not wheels and not sdist:
                faults.append(f"{package.name} {package.version}: no file of it has a hash that {subject} allows")
                continue
            package = replace(package, wheels=wheels, sdist=sdist)  # noqa: PLW2901 - the same, with less
        packages.append(package)
    if faults:
        raise not_as_locked(subject, faults)
    return replace(pylock, packages=packages)
