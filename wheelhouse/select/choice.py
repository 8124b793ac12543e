"""What indexes say about the files of a release: which ones are yanked, and which versions a Python may have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

from packaging.pylock import Package, PackageWheel, Pylock
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from wheelhouse.fetch.credentials import Credentials
from wheelhouse.fetch.http import Client
from wheelhouse.fetch.listing import ListedFile, list_files
from wheelhouse.target import Target
from wheelhouse.wheel import parse_filename

_THREADS = 8


def without_yanked(
    pylock: Pylock,
    targets: Sequence[Target],
    indexes: Collection[str],
    credentials: Credentials,
) -> Pylock:
    """Return `pylock` without the yanked wheels of releases that have other wheels for the same targets.

    uv resolves without yanked files, but its lock lists all files of a release. Only `indexes` are asked, about
    packages for which a target has a choice: the default index of uv yanks whole releases.
    """
    named = {index.rstrip("/") for index in indexes}
    packages = list(pylock.packages)
    unsure = {
        place: package
        for place, package in enumerate(packages)
        if _has_choice(package, targets, named)
    }
    if not unsure:
        return pylock
    yanked = _yanked(unsure.values(), credentials)
    for place, package in unsure.items():
        packages[place] = _not_yanked(package, targets, yanked)
    return replace(pylock, packages=packages)


def _has_choice(package: Package, targets: Sequence[Target], indexes: Collection[str]) -> bool:
    """Return whether several wheels of `package`, from one of `indexes`, fit one of `targets`."""
    if (package.index or "").rstrip("/") not in indexes:
        return False
    return any(len(_fitting(package, target)) > 1 for target in targets)


def _yanked(packages: Iterable[Package], credentials: Credentials) -> set[str | None]:
    """Return the SHA-256 digests of the yanked files of `packages`."""
    client = Client(_THREADS, credentials)

    def page(package: Package) -> list[ListedFile]:
        return list_files(package.name, package.index or "", client.read)

    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            pages = list(pool.map(page, packages))
    finally:
        client.close()
    return {file.sha256 for file in chain.from_iterable(pages) if file.yanked is not None}


def _not_yanked(
    package: Package, targets: Iterable[Target], yanked: Collection[str | None]
) -> Package:
    """Return `package` without yanked wheels, unless a target has no other one."""
    wheels = [wheel for wheel in package.wheels or [] if wheel.hashes.get("sha256") not in yanked]
    good = replace(package, wheels=wheels)
    for target in targets:
        if _fitting(package, target) and not _fitting(good, target):
            return package
    return good


def _fitting(package: Package, target: Target) -> list[PackageWheel]:
    """Return the wheels of `package` that fit `target`."""
    fits = create_compatible_tags_selector(target.tags)
    fitting: list[PackageWheel] = []
    for wheel in package.wheels or []:
        try:
            tags = parse_wheel_filename(wheel.filename)[-1]
        except InvalidWheelFilename:
            continue
        fitting += fits([(wheel, tags)])
    return fitting


def is_excluded(requires_python: str, target: Target) -> bool:
    """Return whether Requires-Python of a wheel excludes all patch releases of the Python of `target`."""
    try:
        return not target.environments(SpecifierSet(requires_python))
    except InvalidSpecifier:
        return False


def newest_allowed(
    project: str,
    target: Target,
    indexes: Iterable[str],
    credentials: Credentials,
    below: Version,
) -> Version | None:
    """Return the newest release of `project` before `below` with a wheel that allows the Python of `target`, if any."""
    client = Client(credentials=credentials)
    try:
        files = [file for index in indexes for file in list_files(project, index, client.read)]
    finally:
        client.close()
    newest = None
    for file in files:
        try:
            version = parse_filename(file.filename)[1]
        except ValueError:
            continue
        if version >= below or version.is_prerelease:
            continue
        if file.yanked is not None or is_excluded(file.requires_python or "", target):
            continue
        if newest is None or version > newest:
            newest = version
    return newest
