"""Packages without a wheel for a target, and the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packaging.pylock import Package, PackageArchive
from packaging.tags import Tag, create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelhouse.errors import Misfit
from wheelhouse.target import Target
from wheelhouse.wheel import url_filename


def misfits(packages: Iterable[Package], target: Target) -> dict[int, Misfit]:
    """Return, by identity of the package, those without a wheel for `target`."""
    compatible = create_compatible_tags_selector(target.tags)
    results: dict[int, Misfit] = {}
    for package in packages:
        if package.vcs or package.directory:
            continue
        names = [wheel.filename for wheel in package.wheels or []]
        if package.archive:
            names = [archive_filename(package.archive)]
        parsed = list(_parsed(names))
        if next(iter(compatible(parsed)), None) is None:
            tags = [tag for _, some in parsed for tag in some]
            reason, glibc = _reason(tags, target)
            results[id(package)] = Misfit(
                project=str(package.name),
                version=str(package.version or ""),
                reason=reason,
                has_source=package.sdist is not None,
                has_wheels=bool(tags),
                glibc=glibc,
                pythons=_pythons(tags, target),
            )
    return results


def _parsed(names: Iterable[str]) -> Iterator[tuple[str, frozenset[Tag]]]:
    for name in names:
        try:
            yield name, parse_wheel_filename(name)[-1]
        except InvalidWheelFilename:
            continue


def _pythons(tags: Iterable[Tag], target: Target) -> frozenset[str]:
    """Return the minor versions of CPython for which a wheel with `tags` exists on the platform of `target`."""
    platforms = set(target.platform.wheel_platforms()) | {"any"}
    matches = (re.fullmatch(r"cp3(\d+)", tag.interpreter) for tag in tags if tag.platform in platforms)
    return frozenset(f"3.{match[1]}" for match in matches if match)


def _reason(tags: Sequence[Tag], target: Target) -> tuple[str, int | None]:
    """Return why no wheel with `tags` fits `target`, and the minor version of glibc with which one would, if any."""
    if not tags:
        return "only a source distribution is published", None
    if len(target.request.pypys()) > 1 and any(tag.abi.startswith("pypy") for tag in tags):
        return "its wheels fit some releases of this Python only; choose one, such as pypy3.11.15", None
    pythons = {(tag.interpreter, tag.abi) for tag in target.tags}
    platforms = {tag.platform for tag in tags if (tag.interpreter, tag.abi) in pythons}
    if not platforms:
        interpreters = ", ".join(sorted({tag.interpreter for tag in tags}))
        return f"no wheel for Python {target.python}, only for {interpreters}", None
    libc = target.platform.libc
    if libc and libc[0] == "glibc":
        pattern = re.compile(rf"manylinux_{libc[1]}_(\d+)_{re.escape(target.platform.machine)}")
        minors = [int(match[1]) for platform in platforms if (match := pattern.fullmatch(platform))]
        if minors:
            return f"its wheels need glibc {libc[1]}.{min(minors)}", min(minors)
    return f"no wheel for this platform, only for {', '.join(sorted(platforms))}", None


def archive_filename(archive: PackageArchive) -> str:
    """Return the file name of `archive`, to which a requirement refers."""
    return Path(archive.path).name if archive.path else url_filename(archive.url or "")
