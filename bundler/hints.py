"""Messages of errors, with hints about our commands and options for those of wheelhouse, which does not know them."""

from __future__ import annotations

from bundler.path_kinds import mismatch
from wheelhouse.errors import (
    ConflictError,
    MirrorError,
    NoStoreError,
    NoWheelsError,
    PermissionsError,
)


def explain(error: Exception) -> str:
    """Return the message of `error` with its facts and hints."""
    if isinstance(error, NoWheelsError):
        hints = [f"hint: {remedy}" for remedy in remedies(error)]
        return "\n".join([*error.lines(), *hints])
    if isinstance(error, MirrorError):
        return f"{error}, or make a Python mirror with `bundler pack-python`"
    if isinstance(error, ConflictError):
        return f"{error}\nhint: if the new one is, run `bundler store resolve`"
    if isinstance(error, PermissionsError):
        command = f"bundler store init {error.folder} --group {error.group}"
        return f"{error.message}\nhint: ask {error.owner} to run: {command}"
    if isinstance(error, NoStoreError):
        fact, hint = mismatch(error.path, "store")
        return f"{error.path}: {fact}\nhint: {hint}"
    return str(error)


def remedies(error: NoWheelsError) -> list[str]:
    """Return what makes wheels of all packages available, the easiest first."""
    hints = []
    pythons = frozenset.intersection(*(misfit.pythons for misfit in error.misfits))
    if pythons:
        hints.append(f"use --python {max(pythons, key=_minor)}, which has wheels")
    # Of each package, the oldest glibc that has a wheel; 0 if none has one.
    glibcs = [misfit.glibc or 0 for misfit in error.misfits]
    if all(glibcs):
        hints.append(f"use a --platform with glibc 2.{max(glibcs)} or newer, if the nodes have it")
    hints += _build_hints(error)
    return hints or ["constrain the packages to versions with wheels"]


def _build_hints(error: NoWheelsError) -> list[str]:
    """Return the options that build from source, if that may help."""
    options = " ".join(f"--build {misfit.project}" for misfit in error.misfits if misfit.has_source)
    if not options:
        return []
    if error.can_build:
        return [f"build from source: {options}"]
    if any(misfit.has_wheels for misfit in error.misfits):
        return []
    return [f"if these packages are pure Python, build from source: {options}"]


def _minor(python: str) -> int:
    return int(python.removeprefix("3."))
