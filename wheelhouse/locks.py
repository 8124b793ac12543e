"""Locks that somebody made: beside a script, of a project, or a pylock.toml. They are followed as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wheelhouse import files, uv
from wheelhouse.errors import StaleLock
from wheelhouse.resolution import Resolution, from_uv, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version


def lock_path(script: Path) -> Path:
    """Return where uv keeps the lock of `script`."""
    return script.with_name(f"{script.name}.lock")


def read_script_lock(script: Path, dependencies: Sequence[str], requires_python: SpecifierSet) -> Resolution:
    """Return what the lock beside `script` says.

    Raises `StaleLock` where the script asks for something else, `UvFailed`.
    """
    code, out, err = uv.export_script(script, locked=True)
    if not code or "needs to be updated" not in err:
        return _locked(script.name, (code, out, err), Path.cwd())
    if not str(requires_python):
        # uv takes such a script to be for the Python that uv runs with and newer, whatever the lock was made with.
        found = _locked(script.name, uv.export_script(script, frozen=True), Path.cwd())
        if _satisfies(found, dependencies):
            return found
    changes = uv.lock_changes(["--script", script.absolute()], script.absolute().parent)
    raise StaleLock(lock_path(script), f"uv lock --script {script.name}", changes)


def read_project_lock(folder: Path, subject: str, dependencies: Sequence[str]) -> Resolution:
    """Return what the uv.lock of the project in `folder` says; raise `StaleLock`, `UvFailed`."""
    code, out, err = uv.export_project(folder)
    if code and "incompatible with the project's Python requirement" in err:
        # uv compares a lock with its project only with a Python that the project is for.
        found = _locked(subject, uv.export_project(folder, frozen=True), folder.absolute())
        if _satisfies(found, dependencies):
            return found
        raise StaleLock(folder / "uv.lock", "uv lock")
    if code and "needs to be updated" in err:
        raise StaleLock(folder / "uv.lock", "uv lock", uv.lock_changes([], folder))
    return _locked(subject, (code, out, err), folder.absolute())


def read_pylock(path: Path) -> Resolution:
    """Return what a pylock.toml says; raise `UnusableLock`, `FileFault`."""
    with files.explained(path):
        text = files.read_input(path).decode(errors="replace")
    return Resolution(subject=path.name, pylock=parse(text, path.name), locked=True, base=path.absolute().parent)


def _locked(subject: str, exported: tuple[int, str, str], base: Path) -> Resolution:
    return replace(from_uv(subject, *exported, (), base=base), locked=True)


def _satisfies(found: Resolution, dependencies: Sequence[str]) -> bool:
    """Return whether a lock that uv did not compare with its input holds a fitting version of each dependency."""
    versions: dict[str, list[Version]] = {}
    for package in found.pylock.packages:
        versions.setdefault(package.name, []).extend([package.version] if package.version else [])
    for requirement in map(Requirement, dependencies):
        locked = versions.get(canonicalize_name(requirement.name))
        if locked is None and requirement.marker is None:
            return False
        if locked and not any(requirement.specifier.contains(version, prereleases=True) for version in locked):
            return False
    return True
