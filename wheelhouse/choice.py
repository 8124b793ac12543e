"""What indexes say about the files of a release: which ones are yanked, and which versions a Python may have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from packaging.pylock import Package, PackageWheel, Pylock
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from wheelhouse.credentials import Credentials
from wheelhouse.http import Client
from wheelhouse.listing import list_files
from wheelhouse.target import Target
from wheelhouse.wheel import parse_filename

_THREADS = 8


def without_yanked(
    pylock: Pylock, targets: Sequence[Target], indexes: Collection[str], credentials: Credentials
) -> Pylock:
    """Return `pylock` without the yanked wheels of releases that have other wheels for the same targets.

    uv resolves without yanked files, but its lock lists all files of a release. Only `indexes` are asked, about
    packages for which a target has a choice: the default index of uv yanks whole releases.
    """
    named = {index.rstrip("/") for index in indexes}
    unsure = [package for package in pylock.packages if _has_choice(package, targets, named)]
    if not unsure:
        return pylock
    yanked = _yanked(unsure, credentials)
    chosen = {id(package): _not_yanked(package, targets, yanked) for package in unsure}
    return replace(pylock, packages=[chosen.get(id(package), package) for package in pylock.packages])


def _has_choice(package: Package, targets: Sequence[Target], indexes: Collection[str]) -> bool:
    """Return whether several wheels of `package`, from one of `indexes`, fit one of `targets`."""
    if (package.index or "").rstrip("/") not in indexes:
        return False
    return any(len(_fitting(package, target)) > 1 for target in targets)


def _yanked(packages: Sequence[Package], credentials: Credentials) -> set[str | None]:
    """Return the SHA-256 digests of the yanked files of `packages`."""
    client = Client(_THREADS, credentials)
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            pages = list(pool.map(lambda package: list_files(package.name, package.index or "", client.read), packages))
    finally:
        client.close()
    return {file.sha256 for page in pages for file in page if file.yanked is not None}


def _not_yanked(package: Package, targets: Iterable[Target], yanked: Collection[str | None]) -> Package:
    """Return `package` without yanked wheels, unless a target has no other one."""
    good = replace(
        package, wheels=[wheel for wheel in package.wheels or [] if wheel.hashes.get("sha256") not in yanked]
    )
    for target in targets:
        if _fitting(package, target) and not _fitting(good, target):
            return package
    return good


def _fitting(package: Package, target: Target) -> list[PackageWheel]:
    """Return the wheels of `package` that fit `target`."""
    fits = create_compatible_tags_selector(target.tags)
    fitting = []
    for wheel in package.wheels or []:
        try:
            tags = parse_wheel_filename(wheel.filename)[-1]
        except InvalidWheelFilename:
            continue
        fitting += list(fits([(wheel, tags)]))
    return fitting


def is_excluded(requires_python: str, target: Target) -> bool:
    """Return whether Requires-Python of a wheel excludes all patch releases of the Python of `target`."""
    try:
        return not target.environments(SpecifierSet(requires_python))
    except InvalidSpecifier:
        return False


def newest_allowed(
    project: str, target: Target, indexes: Iterable[str], credentials: Credentials, below: Version
) -> Version | None:
    """Return the newest release of `project` before `below` with a wheel that allows the Python of `target`, if any."""
    client = Client(credentials=credentials)
    try:
        files = [file for index in indexes for file in list_files(project, index, client.read)]
    finally:
        client.close()
    versions = set()
    for file in files:
        try:
            version = parse_filename(file.filename)[1]
        except ValueError:
            continue
        allowed = file.yanked is None and not is_excluded(file.requires_python or "", target)
        if allowed and version < below and not version.is_prerelease:
            versions.add(version)
    return max(versions, default=None)
