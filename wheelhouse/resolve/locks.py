"""Existing lock files: next to a script, of a project, or a pylock.toml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse import files
from wheelhouse.errors import LockError, UvError, quoted
from wheelhouse.resolve import uv, uv_settings
from wheelhouse.resolve.pylock import parse
from wheelhouse.resolve.resolution import Resolution


def lock_path(script: Path) -> Path:
    """Return the path of uv's lock file for `script`."""
    return script.with_name(f"{script.name}.lock")


def _out_of_date(lock: Path, command: str, changes: str = "") -> LockError:
    return LockError(
        f"{lock} is out of date",
        facts=quoted(changes),
        hint=f"run `{command}`, or delete the lock file",
    )


def read_script_lock(
    script: Path, dependencies: Sequence[str], requires_python: SpecifierSet
) -> Resolution:
    """Return the contents of the lock file of `script`.

    Raises `LockError` if it does not match the script, `UvError`.
    """
    folder = script.absolute().parent
    try:
        return _locked(script.name, uv.export_script(script, locked=True), folder)
    except UvError as error:
        if "needs to be updated" not in error.words:
            raise
    if not str(requires_python):
        # uv assumes that such a script is for the Python that runs uv and newer, whatever the lock was made with.
        answer = uv.export_script(script, frozen=True)
        if _satisfies(answer.pylock, dependencies):
            return _locked(script.name, answer, folder)
    changes = uv.lock_changes(["--script", script.absolute()], folder)
    raise _out_of_date(lock_path(script), f"uv lock --script {script.name}", changes)


def read_project_lock(folder: Path, subject: str, dependencies: Sequence[str]) -> Resolution:
    """Return the contents of the uv.lock of the project in `folder`. Raises `LockError`, `UvError`."""
    try:
        answer = uv.export_project(subject, folder)
    except UvError as error:
        if "needs to be updated" in error.words:
            raise _out_of_date(folder / "uv.lock", "uv lock", uv.lock_changes([], folder)) from None
        if "incompatible with the project's Python requirement" not in error.words:
            raise
        # uv compares a lock with its project only if it runs with a Python that the project supports.
        answer = uv.export_project(subject, folder, frozen=True)
        if not _satisfies(answer.pylock, dependencies):
            raise _out_of_date(folder / "uv.lock", "uv lock") from None
    return _locked(subject, answer, folder.absolute())


def read_pylock(path: Path) -> Resolution:
    """Return the contents of a pylock.toml. Raises `LockError`, `FileError`."""
    pylock = parse(files.read_text(path), path.name)
    return Resolution(
        subject=path.name,
        pylock=pylock,
        locked=True,
        base=path.absolute().parent,
    )


def _locked(subject: str, answer: uv.Answer, base: Path) -> Resolution:
    return Resolution(
        subject=subject,
        pylock=answer.pylock,
        locked=True,
        base=base,
        settings=uv_settings.effective({}, base),
        warnings=answer.warnings,
    )


def _satisfies(pylock: Pylock, dependencies: Sequence[str]) -> bool:
    """Return whether a lock that uv did not compare with its input has a matching version of each dependency."""
    versions: dict[str, list[Version]] = {}
    for package in pylock.packages:
        found = versions.setdefault(package.name, [])
        if package.version:
            found.append(package.version)
    for requirement in map(Requirement, dependencies):
        locked = versions.get(canonicalize_name(requirement.name))
        if locked is None and requirement.marker is None:
            return False
        if locked and not any(requirement.specifier.filter(locked, prereleases=True)):
            return False
    return True
