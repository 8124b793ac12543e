"""Packages without a wheel for a target, and the reason."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.pylock import Package, PackageArchive
from packaging.tags import Tag, create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelhouse.errors import Misfit
from wheelhouse.target import Platform, Target
from wheelhouse.wheel import url_filename

_CPYTHON = re.compile(r"cp3(\d+)")


def misfits(packages: Iterable[Package], target: Target) -> dict[int, Misfit]:
    """Return, by their position in `packages`, those without a wheel for `target`."""
    compatible = create_compatible_tags_selector(target.tags)
    results = {}
    for position, package in enumerate(packages):
        if package.vcs or package.directory:
            continue
        wheels = _wheels(package)
        if next(iter(compatible(wheels)), None) is not None:
            continue
        tags = [tag for _, some in wheels for tag in some]
        reason, glibc = _reason(tags, target)
        results[position] = Misfit(
            project=str(package.name),
            version=str(package.version or ""),
            reason=reason,
            has_source=package.sdist is not None,
            has_wheels=bool(tags),
            glibc=glibc,
            pythons=_pythons(tags, target),
        )
    return results


def _wheels(package: Package) -> list[tuple[str, frozenset[Tag]]]:
    """Return the names and tags of the wheels of `package`."""
    names = [wheel.filename for wheel in package.wheels or ()]
    if package.archive:
        names = [archive_filename(package.archive)]
    wheels = []
    for name in names:
        with contextlib.suppress(InvalidWheelFilename):
            wheels.append((name, parse_wheel_filename(name)[-1]))
    return wheels


def _pythons(tags: Iterable[Tag], target: Target) -> frozenset[str]:
    """Return the minor versions of CPython for which a wheel with `tags` exists on the platform of `target`."""
    platforms = {"any", *target.platform.wheel_platforms()}
    pythons = set()
    for tag in tags:
        match = _CPYTHON.fullmatch(tag.interpreter)
        if match and tag.platform in platforms:
            pythons.add(f"3.{match[1]}")
    return frozenset(pythons)


def _reason(tags: Sequence[Tag], target: Target) -> tuple[str, int | None]:
    """Return why no wheel with `tags` fits `target`, and the minor version of glibc with which one would, if any."""
    if not tags:
        return "only a source distribution is published", None
    is_several_pypys = len(target.request.pypys()) > 1
    if is_several_pypys and any(tag.abi.startswith("pypy") for tag in tags):
        return (
            "its wheels fit some releases of this Python only; choose one, such as pypy3.11.15",
            None,
        )
    pythons = {(tag.interpreter, tag.abi) for tag in target.tags}
    platforms = {tag.platform for tag in tags if (tag.interpreter, tag.abi) in pythons}
    if not platforms:
        interpreters = ", ".join(sorted({tag.interpreter for tag in tags}))
        return (
            f"no wheel for Python {target.python}, only for {interpreters}",
            None,
        )
    glibc = _oldest_glibc(platforms, target.platform)
    if glibc is not None:
        return f"its wheels need glibc 2.{glibc}", glibc
    return (
        f"no wheel for this platform, only for {', '.join(sorted(platforms))}",
        None,
    )


def _oldest_glibc(platforms: Iterable[str], platform: Platform) -> int | None:
    """Return the oldest minor version of glibc 2 with wheels of `platforms` for the machine of `platform`, if any."""
    if platform.libc is None or platform.libc[0] != "glibc":
        return None
    pattern = re.compile(rf"manylinux_2_(\d+)_{re.escape(platform.machine)}")
    minors = []
    for name in platforms:
        match = pattern.fullmatch(name)
        if match:
            minors.append(int(match[1]))
    return min(minors, default=None)


def archive_filename(archive: PackageArchive) -> str:
    """Return the file name of `archive`, to which a requirement refers."""
    if archive.path:
        return Path(archive.path).name
    return url_filename(archive.url or "")
