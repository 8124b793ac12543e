"""Resolve requirements files with their options, constraints and hashes."""

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
from wheelhouse.resolution import Resolution, Wanted, compiled, plainly, preferences, write_pyproject
from wheelhouse.target import environment_markers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.pylock import Pylock

    from wheelhouse.target import Target

# A name, option, URL, path, comment or nothing, judged by the first characters.
_REQUIREMENT = re.compile(
    r"$|#|-|[A-Za-z0-9][\w.-]*\s*($|[\[(<>=!~;@,#]|--)|[\w+.-]+://|\.{0,2}/[^:]*$|[\w./-]+\.(whl|zip|tar\.\w+|tgz)\b|\$\{"
)
_PRERELEASE = re.compile(r"(?m)^\s*--pre\b|[=<>~]\s*\d[\d.]*(?:a|b|c|rc|\.dev)\d")


def resolve(path: Path, targets: Sequence[Target], folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve the requirements file `path` for all `targets` together, in the empty `folder`.

    The versions in `keep` ("name==version") are kept where possible. Raises `UvError`, and `LockError` if an index
    has no file with one of the hashes.
    """
    project = folder / "settings"
    project.mkdir()
    settings = uv_settings.effective({}, path.absolute().parent)
    nothing = Wanted(subject=path.name, dependencies=(), requires_python=SpecifierSet(), own={}, settings=settings)
    write_pyproject(nothing, project, environment_markers(targets, SpecifierSet()))
    oldest = min((target.request.minor for target in targets), key=Version)
    lock = preferences(folder, keep)
    # Only the settings of a project can contain environments, so uv must read these.
    env = uv_settings.NO_CONFIG_FILE
    try:
        pylock = uv.compile_universal(path.name, path.absolute(), lock, python=oldest, settings=project, env=env)
    except UvError as error:
        raise plainly(error, path.name, targets) from None
    pylock = only_hashed(path.name, replace(pylock, requires_python=None, environments=None), hashes(path))
    return Resolution(subject=path.name, pylock=pylock, locked=False, base=folder, settings=settings)


def resolve_for(path: Path, target: Target, folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve the requirements file `path` for `target` alone, with wheels only. Raises the errors of `resolve`."""
    settings = uv_settings.effective({}, path.absolute().parent)
    variables = uv_settings.write_config(settings, folder / "uv.toml")
    pylock = compiled(path.name, path.absolute(), target, folder, keep, None, variables)
    asked = any(_PRERELEASE.search(text) for text in included(path).values())
    checked = only_hashed(path.name, pylock.pylock, hashes(path))
    return replace(pylock, pylock=checked, prereleases=asked, settings=settings)


def included(path: Path) -> dict[Path, str]:
    """Return the text of a requirements file and of all files that it includes, by path, with joined lines."""
    texts: dict[Path, str] = {}
    pending = [path]
    while pending:
        here = Path(os.path.realpath(pending.pop()))  # One name for each, and no error for a link to itself.
        if here in texts or (texts and not here.is_file()):
            continue
        with files.explained(here):
            texts[here] = re.sub(r"\\\r?\n", " ", files.read_input(here).decode(errors="replace"))
        names = re.findall(r"(?m)^\s*(?:-[rc]\s*|--(?:requirement|constraint)[= ]\s*)([^#\n]+)", texts[here])
        pending += [here.parent / name.strip() for name in names]
    return texts


def require_requirements(texts: Mapping[Path, str]) -> None:
    """Raise `LockError` for invalid lines in requirements files, without quoting them.

    A file may include another one by path, whose contents may be private.
    """
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if not _REQUIREMENT.match(line.strip()):
                raise not_as_locked(path.name, [f"line {number} is not a requirement"])


def hashes(path: Path) -> dict[str, set[str]]:
    """Return the SHA-256 digests that a requirements file, and those that it includes, allow for each project."""
    return hashes_in("\n".join(included(path).values()).splitlines())


def hashes_in(lines: Iterable[str]) -> dict[str, set[str]]:
    """Return the SHA-256 digests that requirements, one per line, allow for each project with hashes."""
    hashes: dict[str, set[str]] = {}
    for line in lines:
        named = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)
        digests = re.findall(r"--hash[= ]sha256:([0-9a-f]{64})", line)
        if named and "--hash" in line:
            hashes.setdefault(canonicalize_name(named[1]), set()).update(digests)
    return hashes


def only_hashed(subject: str, pylock: Pylock, allowed_by_project: Mapping[str, set[str]]) -> Pylock:
    """Return `pylock` with only the files of each package whose SHA-256 is allowed. Raises `LockError`."""
    packages, errors = [], []
    for package in pylock.packages:
        allowed = allowed_by_project.get(package.name)
        if allowed:
            wheels = [wheel for wheel in package.wheels or [] if wheel.hashes.get("sha256") in allowed]
            sdist = package.sdist if package.sdist and package.sdist.hashes.get("sha256") in allowed else None
            if not wheels and not sdist:
                errors.append(f"{package.name} {package.version}: none of its files has a hash that {subject} allows")
                continue
            package = replace(package, wheels=wheels, sdist=sdist)  # noqa: PLW2901 - the same, with less
        packages.append(package)
    if errors:
        raise not_as_locked(subject, errors)
    return replace(pylock, packages=packages)
