"""Select the wheels for a target from a lock (PEP 751).

The steps are those of the specification's section on installation, for all patch releases of the target's Python at
once, since that of the node is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from packaging.markers import Environment
from packaging.pylock import Package, PackageArchive, PackageWheel, Pylock, PylockSelectError
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from wheelhouse import marker
from wheelhouse.build import Builder
from wheelhouse.errors import BuildError, DownloadError, FileError, NoWheelsError, not_as_locked, python_refused
from wheelhouse.files import real
from wheelhouse.hashes import all_normalized, sha256_in
from wheelhouse.learned import learn_sha256
from wheelhouse.misfit import archive_filename, misfits
from wheelhouse.resolution import Resolution
from wheelhouse.target import Target, this_platform
from wheelhouse.wheel import Wheel

_NO_VERSION = "none"
_Chosen = tuple["Package", Wheel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A wheel that a target installs, always or, if it depends on the patch release of Python, under `marker`."""

    wheel: Wheel
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The wheels that a target installs, and the versions by project."""

    pins: Sequence[Pin]
    versions: Mapping[str, str]


def select(resolution: Resolution, target: Target, builder: Builder) -> Selection:
    """Return the wheels that `target` installs, including those that `builder` builds.

    Raises `WheelhouseError` for a Python that is not allowed, `LockError`, and `NoWheelsError` with all packages that
    have no wheel and are not built.
    """
    packages = resolution.pylock.packages
    environments = _supported_environments(resolution, target)
    tried = marker.representatives(packages, environments)
    # Packages whose marker is false are skipped; two packages of one project are ambiguous.
    holding = marker.holding_environments(packages, tried, resolution.pylock.default_groups or ())
    needed = [package for package in packages if holding[id(package)]]
    errors = marker.undecidable(packages, target) + marker.ambiguous(needed, holding)
    # For each package, a source is selected: a compatible wheel, or one to build.
    bad = misfits(needed, target)
    to_build = [
        package for package in needed if builder.wants(package, resolution.settings, has_wheel=id(package) not in bad)
    ]
    versions = {str(package.name): str(package.version) for package in needed if package.version is not None}
    built, more = _built(to_build, target, builder, resolution, versions)
    others = bad.keys() | {id(package) for package in to_build}
    groups = [
        (
            environment,
            [
                candidate
                for candidate in needed
                if holding[id(candidate)][0] is environment and id(candidate) not in others
            ],
        )
        for environment in tried
    ]
    wheels, most = _wheels(groups, target.tags, resolution, builder)
    errors += more + most
    if errors:
        raise not_as_locked(resolution.subject, errors)
    missing = [misfit for package, misfit in bad.items() if package not in {id(candidate) for candidate in to_build}]
    if missing:
        raise NoWheelsError(resolution.subject, str(target), missing, versions, can_build=_is_here(target))
    pins = [
        Pin(wheel=wheel, marker=None if len(holding[id(package)]) == len(tried) else str(package.marker))
        for package, wheel in built + wheels
    ]
    return Selection(pins=sorted(pins, key=lambda pin: pin.wheel.filename), versions=versions)


def _supported_environments(resolution: Resolution, target: Target) -> list[Environment]:
    """Return the environments of `target` that the lock allows in "requires-python" and "environments"."""
    environments = target.environments(resolution.requires_python)
    if not environments:
        raise python_refused(resolution.subject, str(resolution.requires_python), [target.request.version])
    markers = resolution.pylock.environments
    if not markers:
        return environments
    supported = [
        environment
        for environment in environments
        if any(condition.evaluate(cast("dict[str, str]", environment), context="requirement") for condition in markers)
    ]
    if not supported:
        allowed = " or ".join(map(str, markers))
        raise not_as_locked(resolution.subject, [f"its environments do not include {target} ({allowed})"])
    return supported


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (project, old version, new version) for each difference; "none" stands for an absent project."""
    names = sorted(before.keys() | after.keys())
    rows = [(name, before.get(name, _NO_VERSION), after.get(name, _NO_VERSION)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def prereleases(versions: Mapping[str, str]) -> set[str]:
    """Return the projects with a pre-release in `versions`."""
    return {name for name, version in versions.items() if Version(version).is_prerelease}


def _is_here(target: Target) -> bool:
    here = this_platform()
    return (target.platform.system, target.platform.machine) == (here.system, here.machine)


def _wheels(
    groups: Iterable[tuple[Environment, Sequence[Package]]],
    tags: Sequence[Tag],
    resolution: Resolution,
    builder: Builder,
) -> tuple[list[_Chosen], list[str]]:
    """Return the best wheels of packages by an environment in which they apply, and the problems of other packages."""
    wheels, errors = [], []
    for environment, packages in groups:
        # Markers were evaluated before, which takes most of the time.
        plain = [_by_build_number(replace(package, marker=None)) for package in packages]
        pylock = Pylock(lock_version=Version("1.0"), created_by="wheelhouse", packages=plain)
        try:
            for package, (_, source) in zip(packages, pylock.select(environment=environment, tags=tags), strict=True):
                try:
                    wheel = _wheel(source, resolution, resolution.hashes.get(package.name, frozenset()), builder)
                    wheels.append((package, replace(wheel, index=package.index)))
                except ValueError as error:
                    errors.append(f"{package.name}: {error}")
                except DownloadError as error:
                    errors.append(str(error))
        except PylockSelectError as error:
            errors.append(str(error))
    return wheels, errors


def _by_build_number(package: Package) -> Package:
    """Return `package` with the wheels of the highest build numbers first (PEP 427): the first of equal ones wins."""

    def build(wheel: PackageWheel) -> BuildTag:
        try:
            return parse_wheel_filename(wheel.filename)[2]
        except InvalidWheelFilename:
            return ()

    return replace(package, wheels=sorted(package.wheels or [], key=build, reverse=True)) if package.wheels else package


def _wheel(source: object, resolution: Resolution, allowed: frozenset[str], builder: Builder) -> Wheel:
    """Return the lock's entry for a wheel, whose digest must be one of `allowed`, if there are any.

    Raises `ValueError` for a package that cannot be bundled, `DownloadError`.
    """
    if not isinstance(source, PackageWheel | PackageArchive):
        raise ValueError("comes from source code")  # noqa: TRY004 - the lock is wrong, not the caller
    url = source.url or (real(resolution.base / source.path).as_uri() if source.path else "")
    filename = source.filename if isinstance(source, PackageWheel) else archive_filename(source)
    stated = all_normalized(source.hashes)
    sha256 = source.hashes.get("sha256")
    if sha256 is None or (allowed and sha256 not in sha256_in(allowed)):
        if not stated and not allowed:
            raise ValueError("its index provides no SHA-256 digest, so the file cannot be verified")
        # Only the file itself tells whether a digest of another algorithm is right.
        sha256 = learn_sha256(filename, url, stated, allowed, builder.cache, builder.credentials)
    return Wheel(filename=filename, url=url, sha256=sha256, size=source.size)


def _built(
    packages: Iterable[Package], target: Target, builder: Builder, resolution: Resolution, versions: Mapping[str, str]
) -> tuple[list[_Chosen], list[str]]:
    """Return the wheels that `builder` builds from `packages`, and why it could not build the others."""
    wheels, errors = [], []
    for package in packages:
        try:
            wheels.append((package, builder.build(package, target, resolution, versions)))
        except (BuildError, DownloadError, FileError) as error:
            errors.append(str(error))
        except ValueError as error:  # A hash that cannot be compared.
            errors.append(f"{package.name}: {error}")
    return wheels, errors
