"""Messages of errors, with hints about our commands and options for those of wheelhouse, which does not know them."""

from __future__ import annotations

from wheelhouse.errors import ConflictError, MirrorError, NoWheelsError, PermissionsError


def explain(error: Exception) -> str:
    """Return the message of `error` with its facts and hints."""
    if isinstance(error, NoWheelsError):
        return "\n".join([*error.lines(), *(f"hint: {remedy}" for remedy in remedies(error))])
    if isinstance(error, MirrorError):
        return f"{error}, or make a Python mirror with `bundler pack-python`"
    if isinstance(error, ConflictError):
        return f"{error}\nhint: if the new one is, run `bundler store resolve`"
    if isinstance(error, PermissionsError):
        return (
            f"{error.message}\nhint: ask {error.owner} to run: bundler store init {error.folder} --group {error.group}"
        )
    return str(error)


def remedies(error: NoWheelsError) -> list[str]:
    """Return what makes wheels of all packages available, the easiest first."""
    misfits, hints = error.misfits, []
    pythons = frozenset.intersection(*(misfit.pythons for misfit in misfits))
    if pythons:
        hints.append(f"use --python {max(pythons, key=lambda minor: int(minor[2:]))}, which has wheels")
    if all(misfit.glibc for misfit in misfits):
        newest = max(misfit.glibc or 0 for misfit in misfits)
        hints.append(f"use a --platform with glibc 2.{newest} or newer, if the nodes have it")
    options = " ".join(f"--build {misfit.project}" for misfit in misfits if misfit.has_source)
    if options and error.can_build:
        hints.append(f"build from source: {options}")
    elif options and not any(misfit.has_wheels for misfit in misfits):
        hints.append(f"if these packages are pure Python, build from source: {options}")
    return hints or ["constrain the packages to versions with wheels"]
