"""The wheels that a target takes from one lock (PEP 751).

The steps are those of the specification's section on installation, taken for all patch releases of the target's Python
at once, since nobody knows which one the node has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.pylock import PackageArchive, PackageWheel, Pylock, PylockSelectError
from packaging.version import Version

from wheelhouse import marker
from wheelhouse.build import is_direct
from wheelhouse.errors import BuildError, DownloadError, FileError, NoWheelsError, not_as_locked, python_refused
from wheelhouse.misfit import archive_filename, misfits
from wheelhouse.target import this_platform
from wheelhouse.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.markers import Environment
    from packaging.pylock import Package
    from packaging.tags import Tag

    from wheelhouse.build import Builder
    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target

_NO_VERSION = "none"
_Chosen = tuple["Package", Wheel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A wheel that a target installs, always or, where that depends on the patch release of Python, under `marker`."""

    wheel: Wheel
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a target installs, and the versions by project."""

    pins: Sequence[Pin]
    versions: Mapping[str, str]


def select(resolution: Resolution, target: Target, builder: Builder) -> Selection:
    """Return what `target` installs, built by `builder` where it wants to.

    Raises `WheelhouseError` for a Python that is not allowed, `LockError`, and `NoWheelsError` with all packages that
    have neither wheel nor builder.
    """
    packages = resolution.pylock.packages
    # "requires-python" of the lock, and "environments", which a lock of ours does not have.
    environments = target.environments(resolution.requires_python)
    if not environments:
        raise python_refused(resolution.subject, str(resolution.requires_python), [target.request.version])
    tried = marker.representatives(packages, environments)
    # Packages whose marker does not hold are passed over; two packages of one project are ambiguous.
    holding = marker.holding_environments(packages, tried)
    needed = [package for package in packages if holding[id(package)]]
    faults = marker.undecidable(packages, target) + marker.ambiguous(needed, holding)
    # Of each package the source is chosen: a wheel, if there is one that fits, else what can be built.
    bad = misfits(needed, target)
    to_build = [package for package in needed if (id(package) in bad or is_direct(package)) and builder.wants(package)]
    built, more = _built(to_build, target, builder, resolution.base)
    others = bad.keys() | {id(package) for package in to_build}
    groups = [
        (environment, [each for each in needed if holding[id(each)][0] is environment and id(each) not in others])
        for environment in tried
    ]
    found, most = _wheels(groups, target.tags, resolution.base)
    faults += more + most
    if faults:
        raise not_as_locked(resolution.subject, faults)
    versions = {str(package.name): str(package.version) for package in needed if package.version is not None}
    missing = [misfit for package, misfit in bad.items() if package not in {id(each) for each in to_build}]
    if missing:
        raise NoWheelsError(resolution.subject, str(target), missing, versions, can_build=_is_here(target))
    pins = [
        Pin(wheel=wheel, marker=None if len(holding[id(package)]) == len(tried) else str(package.marker))
        for package, wheel in built + found
    ]
    return Selection(pins=sorted(pins, key=lambda pin: pin.wheel.filename), versions=versions)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return project, version before and after of what differs; "none" stands for a project that is not there."""
    names = sorted(before.keys() | after.keys())
    rows = [(name, before.get(name, _NO_VERSION), after.get(name, _NO_VERSION)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def prereleases(versions: Mapping[str, str]) -> set[str]:
    """Return the projects of which `versions` has a pre-release."""
    return {name for name, version in versions.items() if Version(version).is_prerelease}


def _is_here(target: Target) -> bool:
    here = this_platform()
    return (target.platform.system, target.platform.machine) == (here.system, here.machine)


def _wheels(
    groups: Iterable[tuple[Environment, Sequence[Package]]], tags: Sequence[Tag], base: Path
) -> tuple[list[_Chosen], list[str]]:
    """Return the best wheels of packages, by an environment in which they hold, and what is wrong with others."""
    found, faults = [], []
    for environment, packages in groups:
        # Their markers were looked at, and evaluating them is what takes time.
        plain = [replace(package, marker=None) for package in packages]
        pylock = Pylock(lock_version=Version("1.0"), created_by="wheelhouse", packages=plain)
        try:
            for package, (_, source) in zip(packages, pylock.select(environment=environment, tags=tags), strict=True):
                try:
                    found.append((package, _wheel(source, base)))
                except ValueError as fault:
                    faults.append(f"{package.name}: {fault}")
        except PylockSelectError as fault:
            faults.append(str(fault))
    return found, faults


def _wheel(source: object, base: Path) -> Wheel:
    """Return what the lock says of a wheel; raise `ValueError` for what cannot be carried."""
    if not isinstance(source, PackageWheel | PackageArchive):
        raise ValueError("comes from source code")  # noqa: TRY004  # the lock is at fault, not the caller
    url = source.url or ((base / source.path).resolve().as_uri() if source.path else "")
    filename = source.filename if isinstance(source, PackageWheel) else archive_filename(source)
    sha256 = source.hashes.get("sha256")
    if sha256 is None:
        raise ValueError("its index gives no SHA-256, so nothing can vouch for the file")
    return Wheel(filename=filename, url=url, sha256=sha256, size=source.size)


def _built(
    packages: Iterable[Package], target: Target, builder: Builder, base: Path
) -> tuple[list[_Chosen], list[str]]:
    """Return what `builder` makes of `packages`, and why it could not make the others."""
    found, faults = [], []
    for package in packages:
        try:
            found.append((package, builder.build(package, target, base)))
        except (BuildError, DownloadError, FileError) as fault:
            faults.append(str(fault))
    return found, faults
