"""Select the wheels for a target from a lock (PEP 751).

The steps are those of the specification's section on installation, for all patch releases of the target's Python at
once, since that of the node is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from packaging.markers import Environment
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageWheel,
    Pylock,
    PylockSelectError,
)
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from wheelhouse.build.builder import Builder
from wheelhouse.errors import (
    BuildError,
    DownloadError,
    FileError,
    NoWheelsError,
    not_as_locked,
    python_refused,
)
from wheelhouse.fetch.learned import learn_sha256
from wheelhouse.files import real
from wheelhouse.hashes import all_normalized, sha256_in
from wheelhouse.resolve import marker
from wheelhouse.resolve.marker import Needed
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.select.misfit import archive_filename, misfits
from wheelhouse.target import Target, this_platform
from wheelhouse.wheel import Wheel

_NO_VERSION = "none"
_Chosen = tuple[Needed, Wheel]


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
    pylock = resolution.pylock
    supported = _supported_environments(resolution, target)
    environments = marker.representatives(pylock.packages, supported)
    # Packages whose marker is false are skipped; two packages of one project are ambiguous.
    needed = marker.needed_packages(pylock.packages, environments, pylock.default_groups or ())
    errors = marker.undecidable(pylock.packages, target)
    errors += marker.ambiguous(needed)
    # For each package, a source is selected: a compatible wheel, or one to build.
    packages = [entry.package for entry in needed]
    to_build = []
    with_wheel = []
    missing = []
    without_wheel = misfits(packages, target)
    for position, entry in enumerate(needed):
        misfit = without_wheel.get(position)
        if builder.wants(entry.package, resolution.settings, has_wheel=misfit is None):
            to_build.append(entry)
        elif misfit is not None:
            missing.append(misfit)
        else:
            with_wheel.append(entry)
    versions = {
        str(package.name): str(package.version)
        for package in packages
        if package.version is not None
    }
    chosen = _built(to_build, target, builder, resolution, versions, errors)
    for environment in environments:
        chosen += _wheels(with_wheel, environment, target.tags, resolution, builder, errors)
    if errors:
        raise not_as_locked(resolution.subject, errors)
    if missing:
        raise NoWheelsError(
            resolution.subject,
            str(target),
            missing,
            versions,
            can_build=_is_here(target),
        )
    pins = [_pin(entry, wheel, environments) for entry, wheel in chosen]
    return Selection(pins=sorted(pins, key=lambda pin: pin.wheel.filename), versions=versions)


def _pin(needed: Needed, wheel: Wheel, environments: Sequence[Environment]) -> Pin:
    if len(needed.environments) == len(environments):
        return Pin(wheel=wheel)
    return Pin(wheel=wheel, marker=str(needed.package.marker))


def _supported_environments(resolution: Resolution, target: Target) -> list[Environment]:
    """Return the environments of `target` that the lock allows in "requires-python" and "environments"."""
    environments = target.environments(resolution.requires_python)
    if not environments:
        raise python_refused(
            resolution.subject,
            str(resolution.requires_python),
            [target.request.version],
        )
    markers = resolution.pylock.environments
    if not markers:
        return environments
    supported = []
    for environment in environments:
        variables = cast("dict[str, str]", environment)
        if any(condition.evaluate(variables, context="requirement") for condition in markers):
            supported.append(environment)
    if not supported:
        allowed = " or ".join(map(str, markers))
        raise not_as_locked(
            resolution.subject,
            [f"its environments do not include {target} ({allowed})"],
        )
    return supported


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (project, old version, new version) for each difference; "none" stands for an absent project."""
    rows = []
    for name in sorted({*before, *after}):
        old = before.get(name, _NO_VERSION)
        new = after.get(name, _NO_VERSION)
        if old != new:
            rows.append((name, old, new))
    return rows


def prereleases(versions: Mapping[str, str]) -> set[str]:
    """Return the projects with a pre-release in `versions`."""
    return {name for name, version in versions.items() if Version(version).is_prerelease}


def _is_here(target: Target) -> bool:
    here = this_platform()
    return (target.platform.system, target.platform.machine) == (
        here.system,
        here.machine,
    )


def _wheels(
    needed: Sequence[Needed],
    environment: Environment,
    tags: Sequence[Tag],
    resolution: Resolution,
    builder: Builder,
    errors: list[str],
) -> list[_Chosen]:
    """Return the best wheels of those of `needed` for which `environment` is the first one that needs them.

    Adds the problems of other packages to `errors`.
    """
    chosen = []
    needed = [entry for entry in needed if entry.environments[0] is environment]
    plain = [_plain(entry.package) for entry in needed]
    pylock = Pylock(lock_version=Version("1.0"), created_by="wheelhouse", packages=plain)
    sources = pylock.select(environment=environment, tags=tags)
    try:
        for entry, (_, source) in zip(needed, sources, strict=True):
            try:
                wheel = _wheel(source, entry.package, resolution, builder)
            except ValueError as error:
                errors.append(f"{entry.package.name}: {error}")
            except DownloadError as error:
                errors.append(str(error))
            else:
                chosen.append((entry, wheel))
    except PylockSelectError as error:
        errors.append(str(error))
    return chosen


def _plain(package: Package) -> Package:
    """Return `package` without its marker, which was evaluated before, since that takes most of the time.

    The wheels with the highest build numbers are first (PEP 427), because the first of equal ones wins.
    """
    if not package.wheels:
        return replace(package, marker=None)
    wheels = sorted(package.wheels, key=_build_number, reverse=True)
    return replace(package, marker=None, wheels=wheels)


def _build_number(wheel: PackageWheel) -> BuildTag:
    try:
        return parse_wheel_filename(wheel.filename)[2]
    except InvalidWheelFilename:
        return ()


def _wheel(source: object, package: Package, resolution: Resolution, builder: Builder) -> Wheel:
    """Return the lock's entry for the wheel `source` of `package`, whose digest must be an allowed one, if any are.

    Raises `ValueError` for a package that cannot be bundled, `DownloadError`.
    """
    if not isinstance(source, PackageWheel | PackageArchive):
        raise ValueError("comes from source code")  # noqa: TRY004 - the lock is wrong, not the caller
    url = source.url or ""
    if not url and source.path:
        url = real(resolution.base / source.path).as_uri()
    filename = source.filename if isinstance(source, PackageWheel) else archive_filename(source)
    stated = all_normalized(source.hashes)
    allowed = resolution.hashes.get(package.name, frozenset())
    sha256 = source.hashes.get("sha256")
    if sha256 is None or (allowed and sha256 not in sha256_in(allowed)):
        if not stated and not allowed:
            raise ValueError("its index provides no SHA-256 digest, so the file cannot be verified")
        # Only the file itself tells whether a digest of another algorithm is right.
        sha256 = learn_sha256(filename, url, stated, allowed, builder.cache, builder.credentials)
    return Wheel(
        filename=filename,
        url=url,
        sha256=sha256,
        size=source.size,
        index=package.index,
    )


def _built(
    needed: Iterable[Needed],
    target: Target,
    builder: Builder,
    resolution: Resolution,
    versions: Mapping[str, str],
    errors: list[str],
) -> list[_Chosen]:
    """Return the wheels that `builder` builds from `needed`; add to `errors` why it could not build the others."""
    chosen = []
    for entry in needed:
        try:
            wheel = builder.build(entry.package, target, resolution, versions)
        except (BuildError, DownloadError, FileError) as error:
            errors.append(str(error))
        except ValueError as error:  # A hash that cannot be compared.
            errors.append(f"{entry.package.name}: {error}")
        else:
            chosen.append((entry, wheel))
    return chosen
