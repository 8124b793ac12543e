"""The targets of a bundle: what was asked for, or this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from bundler.errors import Faults, attempt_all
from wheelhouse import uv
from wheelhouse.errors import UnknownPython, UvFailed
from wheelhouse.target import Target, parse_platform, parse_python, this_platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.script import Script


def targets_for(scripts: Sequence[Script], pythons: Sequence[str], platforms: Sequence[str]) -> list[Target]:
    """Return the targets that every Python of `pythons` and every platform of `platforms` make together.

    Without `platforms` it is this machine, without `pythons` the Python that uv would choose here for `scripts`.
    Raises `Faults` with all unknown names, `UvFailed` when this machine has no Python that the scripts allow.
    """
    known_platforms, faults = attempt_all(parse_platform, platforms)
    known_pythons, more = attempt_all(_known_python, pythons)
    if faults + more:
        raise Faults(faults + more)
    chosen = known_pythons or [_default_python(scripts)]
    targets = {
        Target(python=python, platform=platform)
        for platform in known_platforms or [this_platform()]
        for python in chosen
    }
    # An execution script takes the first that fits: the one for the newest C library, then the newest Python.
    newest_first = sorted(targets, key=_age, reverse=True)
    return sorted(newest_first, key=lambda target: (target.platform.system, target.platform.machine))


def _age(target: Target) -> tuple[tuple[str, int, int], Version]:
    return target.platform.libc or ("", 0, 0), Version(target.python)


def _known_python(version: str) -> str:
    if not uv.known_pythons(parse_python(version)):
        raise UnknownPython(version, "uv knows no such Python")
    return version


def _default_python(scripts: Sequence[Script]) -> str:
    # `==3.12` is meant as `==3.12.*`, see Script.warnings; uv would look for 3.12.0.
    specifiers = [
        re.sub(r"^==\s*(\d+\.\d+)$", r"==\1.*", part)
        for script in scripts
        for part in str(script.requires_python).split(",")
    ]
    code, out, err = uv.python_for(",".join(filter(None, specifiers)))
    if code:
        raise UvFailed(
            f"{', '.join(script.name for script in scripts)}: uv finds no Python for this here, and without --python "
            "the bundle is for this machine's. Give --python, for instance --python 3.12.",
            err,
        )
    return ".".join(out.strip().split(".")[:2])
