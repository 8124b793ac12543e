"""The wheels that a target takes from one universal lock (PEP 751)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.pylock import Package, PackageArchive, PackageWheel, Pylock, PylockSelectError
from packaging.tags import create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from wheelhouse.build import Builder, is_direct
from wheelhouse.errors import (
    BuildFailed,
    DownloadsFailed,
    FileFault,
    Misfit,
    NoWheels,
    PythonRefused,
    UnusableLock,
    UvFailed,
)
from wheelhouse.target import this_platform
from wheelhouse.wheel import Wheel, url_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from packaging.markers import Environment
    from packaging.tags import Tag

    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target

_OF_THE_KERNEL = re.compile(r"\bplatform_(release|version)\b")
_NO_VERSION = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A wheel that a target installs, always or, where that depends on the patch release of Python, under `marker`."""

    wheel: Wheel
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a target installs.

    `changes` are (project, version in the universal lock, version here) where the target was resolved on its own;
    "none" stands for a project that one of the two does not have.
    """

    pins: Sequence[Pin]
    changes: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What one lock gives a target: the versions of what it needs, pins, and what has neither wheel nor builder."""

    versions: Mapping[str, str]
    pins: Sequence[Pin]
    misfits: Sequence[Misfit]


def select(
    resolution: Resolution,
    target: Target,
    builder: Builder,
    resolve_for: Callable[[Target, bool], Resolution] | None = None,
) -> Selection:
    """Return what `target` installs, built by `builder` where it wants to.

    Where the universal lock pins versions that have no wheel for the target (it knows nothing of glibc), `resolve_for`
    resolves for the target alone, wheels only, with pre-releases if the universal lock has any.
    Raises `PythonRefused`, `NoWheels`, `UnusableLock`.
    """
    first = _attempt(resolution, target, builder)
    if not first.misfits:
        return Selection(pins=first.pins)

    def refused(misfits: Sequence[Misfit], words: str = "") -> NoWheels:
        here = this_platform()
        can_build = (target.platform.system, target.platform.machine) == (here.system, here.machine)
        return NoWheels(resolution.subject, str(target), misfits, words, can_build=can_build)

    if resolution.locked or resolve_for is None:
        raise refused(first.misfits)
    try:
        other = resolve_for(target, any(map(_is_prerelease, first.versions.values())))
    except UvFailed as fault:
        # uv was asked for wheels only, and would speak of what is to be built.
        raise refused(first.misfits, "" if builder.names or builder.everything else fault.words) from fault
    second = _attempt(other, target, builder)
    if second.misfits:
        raise refused(second.misfits)
    changes = _changes(first.versions, second.versions)
    unwanted = [f"{name} {after}" for name, _, after in changes if _is_prerelease(after)]
    if unwanted and not other.prereleases:
        raise refused(first.misfits, f"Of other versions, only pre-releases would do: {', '.join(unwanted)}")
    return Selection(pins=second.pins, changes=changes)


def _is_prerelease(version: str) -> bool:
    return version != _NO_VERSION and Version(version).is_prerelease


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = sorted(before.keys() | after.keys())
    rows = [(name, before.get(name, _NO_VERSION), after.get(name, _NO_VERSION)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _attempt(resolution: Resolution, target: Target, builder: Builder) -> _Attempt:
    environments = target.environments(resolution.requires_python)
    if not environments:
        raise PythonRefused(resolution.subject, str(resolution.requires_python), [target.request.version])
    packages = resolution.pylock.packages
    unusable = _undecidable(packages, target)
    tried = _representatives(packages, environments)
    holding = _holding(packages, tried)
    needed = [package for package in packages if holding[id(package)]]
    unusable += _ambiguous(needed, holding)
    bad = _misfits(needed, target)
    to_build = [package for package in needed if (id(package) in bad or is_direct(package)) and builder.wants(package)]
    taken = {id(package) for package in to_build} | bad.keys()
    sources, faults = _built(to_build, target, builder, resolution.base)
    for environment in tried:
        group = [each for each in needed if holding[id(each)][0] is environment and id(each) not in taken]
        wheels, more = _wheels(group, environment, target.tags, resolution.base)
        sources += wheels
        faults += more
    if unusable or faults:
        raise UnusableLock(resolution.subject, [*unusable, *faults])
    pins = [
        Pin(wheel=wheel, marker=None if len(holding[id(package)]) == len(tried) else str(package.marker))
        for package, wheel in sources
    ]
    return _Attempt(
        versions={str(package.name): str(package.version) for package in needed if package.version is not None},
        pins=sorted(pins, key=lambda pin: pin.wheel.filename),
        misfits=[misfit for identity, misfit in bad.items() if identity not in {id(each) for each in to_build}],
    )


def _undecidable(packages: Iterable[Package], target: Target) -> list[str]:
    """Say which packages are needed or not depending on what nobody knows before the job runs."""
    faults = []
    for package in packages:
        marker = str(package.marker or "")
        if _OF_THE_KERNEL.search(marker):
            faults.append(f"{package.name}: is needed or not depending on the node's kernel ({marker})")
        if target.request.pypys() and "implementation_version" in marker:
            faults.append(f"{package.name}: is needed or not depending on the release of PyPy ({marker})")
    return faults


def _representatives(packages: Iterable[Package], environments: Sequence[Environment]) -> list[Environment]:
    """Return those of `environments`, patch releases of one Python, between which a marker may change its mind."""
    named = {"0", "1"}
    for marker in {str(package.marker) for package in packages if package.marker}:
        for patch in re.findall(r"\d+\.\d+\.(\d+)", marker):
            named |= {str(int(patch) + step) for step in (-1, 0, 1)}
    ends = (environments[0], environments[-1])
    return [each for each in environments if each in ends or each["python_full_version"].rpartition(".")[2] in named]


def _holding(packages: Iterable[Package], environments: Sequence[Environment]) -> dict[int, list[Environment]]:
    """Return, by identity of the package, the environments in which its marker holds."""
    known: dict[str, list[Environment]] = {"None": list(environments)}
    for package in packages:
        text = str(package.marker)
        if text not in known:
            known[text] = [environment for environment in environments if _holds(package, environment)]
    return {id(package): known[str(package.marker)] for package in packages}


def _holds(package: Package, environment: Environment) -> bool:
    try:
        return package.marker is None or package.marker.evaluate(
            cast("dict[str, str]", environment), context="lock_file"
        )
    except (UndefinedComparison, UndefinedEnvironmentName) as fault:
        raise UnusableLock(str(package.name), [f"its marker means nothing: {package.marker}"]) from fault


def _ambiguous(packages: Iterable[Package], holding: Mapping[int, Sequence[Environment]]) -> list[str]:
    """Say which projects the lock names twice for one environment."""
    counts = Counter(
        (str(package.name), environment["python_full_version"])
        for package in packages
        for environment in holding[id(package)]
    )
    return sorted(
        {f"{name}: is locked at several versions at once" for (name, _), count in counts.items() if count > 1}
    )


def _wheels(
    packages: Sequence[Package], environment: Environment, tags: Sequence[Tag], base: Path
) -> tuple[list[tuple[Package, Wheel]], list[str]]:
    """Return the best wheel of each of `packages`, which all hold in `environment`, and what is wrong with others."""
    found, faults = [], []
    # Their markers were looked at, and evaluating them is what takes time.
    plain = Pylock(
        lock_version=Version("1.0"), created_by="wheelhouse", packages=[replace(each, marker=None) for each in packages]
    )
    try:
        for package, (_, source) in zip(packages, plain.select(environment=environment, tags=tags), strict=True):
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
    filename = source.filename if isinstance(source, PackageWheel) else _filename(source)
    sha256 = source.hashes.get("sha256")
    if sha256 is None:
        raise ValueError("its index gives no SHA-256, so nothing can vouch for the file")
    return Wheel(filename=filename, url=url, sha256=sha256, size=source.size)


def _filename(archive: PackageArchive) -> str:
    return Path(archive.path).name if archive.path else url_filename(archive.url or "")


def _built(
    packages: Iterable[Package], target: Target, builder: Builder, base: Path
) -> tuple[list[tuple[Package, Wheel]], list[str]]:
    """Return what `builder` makes of `packages`, and why it could not make the others."""
    found, faults = [], []
    for package in packages:
        try:
            found.append((package, builder.build(package, target, base)))
        except (BuildFailed, DownloadsFailed, FileFault) as fault:
            faults.append(str(fault))
    return found, faults


def _misfits(packages: Iterable[Package], target: Target) -> dict[int, Misfit]:
    """Return, by identity of the package, those with no wheel that fits `target`."""
    compatible = create_compatible_tags_selector(target.tags)
    misfits: dict[int, Misfit] = {}
    for package in packages:
        if package.vcs or package.directory:
            continue
        names = [wheel.filename for wheel in package.wheels or []]
        if package.archive:
            names = [_filename(package.archive)]
        parsed = list(_parsed(names))
        if next(iter(compatible(parsed)), None) is None:
            tags = [tag for _, some in parsed for tag in some]
            reason, glibc = _reason(tags, target)
            misfits[id(package)] = Misfit(
                project=str(package.name),
                version=str(package.version or ""),
                reason=reason,
                has_source=package.sdist is not None,
                has_wheels=bool(tags),
                glibc=glibc,
                pythons=_pythons(tags, target),
            )
    return misfits


def _parsed(names: Iterable[str]) -> Iterator[tuple[str, frozenset[Tag]]]:
    for name in names:
        try:
            yield name, parse_wheel_filename(name)[-1]
        except InvalidWheelFilename:
            continue


def _pythons(tags: Iterable[Tag], target: Target) -> frozenset[str]:
    """Return the minor versions of CPython for which a wheel of `tags` fits the platform of `target`."""
    platforms = set(target.platform.wheel_platforms()) | {"any"}
    found = (re.fullmatch(r"cp3(\d+)", tag.interpreter) for tag in tags if tag.platform in platforms)
    return frozenset(f"3.{match[1]}" for match in found if match)


def _reason(tags: Sequence[Tag], target: Target) -> tuple[str, int | None]:
    """Say why none of the wheels with `tags` fits `target`, and the minor version of glibc that would do, if any."""
    if not tags:
        return "only a source distribution is published", None
    if len(target.request.pypys()) > 1 and any(tag.abi.startswith("pypy") for tag in tags):
        return "what is compiled fits some releases of this Python only: name one, such as pypy3.11.15", None
    pythons = {(tag.interpreter, tag.abi) for tag in target.tags}
    platforms = {tag.platform for tag in tags if (tag.interpreter, tag.abi) in pythons}
    if not platforms:
        interpreters = ", ".join(sorted({tag.interpreter for tag in tags}))
        return f"no wheel for Python {target.python}; there are {interpreters}", None
    libc = target.platform.libc
    if libc and libc[0] == "glibc":
        pattern = re.compile(rf"manylinux_{libc[1]}_(\d+)_{re.escape(target.platform.machine)}")
        minors = [int(match[1]) for platform in platforms if (match := pattern.fullmatch(platform))]
        if minors:
            return f"its wheels need glibc {libc[1]}.{min(minors)}", min(minors)
    return f"no wheel for this platform; there are {', '.join(sorted(platforms))}", None
