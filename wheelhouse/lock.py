"""The wheels that a target takes from one universal lock (PEP 751)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    NoWheels,
    PythonRefused,
    UnusableLock,
)
from wheelhouse.resolution import parse
from wheelhouse.wheel import Wheel, url_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from packaging.specifiers import SpecifierSet

    from wheelhouse.resolution import Resolution
    from wheelhouse.target import Target

_OF_THE_KERNEL = re.compile(r"\bplatform_(release|version)\b")
_OF_A_PATCH = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A wheel that a target installs, where `marker` holds (always, if it is None)."""

    wheel: Wheel
    marker: str | None = None


def pins(
    resolution: Resolution,
    target: Target,
    builder: Builder,
    again: Callable[[Target], tuple[int, str, str]] | None = None,
    again_base: Path | None = None,
) -> list[Pin]:
    """Return what `target` installs, built by `builder` where it wants to.

    Where the universal lock pins versions that have no wheel for the target (it knows nothing of glibc), `again`
    resolves for the target alone, wheels only, and returns what uv did; paths in that are relative to `again_base`.
    Raises `PythonRefused`, `NoWheels`, `UnusableLock`.
    """
    subject, requires_python = resolution.subject, resolution.requires_python
    chosen, misfits = _select(resolution.pylock, requires_python, target, subject, builder, resolution.base)
    if misfits and not resolution.locked and again:
        code, out, err = again(target)
        if code:
            # uv was asked for wheels only, and would speak of what is to be built.
            words = "" if builder.names or builder.everything else err
            raise NoWheels(subject, str(target), misfits, words)
        chosen, misfits = _select(
            parse(out, subject), requires_python, target, subject, builder, again_base or resolution.base
        )
    if misfits:
        raise NoWheels(subject, str(target), misfits)
    return chosen


def _select(
    pylock: Pylock, requires_python: SpecifierSet, target: Target, subject: str, builder: Builder, base: Path
) -> tuple[list[Pin], list[tuple[str, str, str]]]:
    environments = target.environments(requires_python)
    if not environments:
        raise PythonRefused(subject, str(requires_python), [target.runtime.version])
    chosen: list[Pin] = []
    misfits: list[tuple[str, str, str]] = []
    unusable = [
        f"{package.name}: is needed or not depending on the node's kernel ({package.marker})"
        for package in pylock.packages
        if package.marker and _OF_THE_KERNEL.search(str(package.marker))
    ]
    unusable += [
        f"{package.name}: is needed or not depending on the release of PyPy ({package.marker})"
        for package in pylock.packages
        if package.marker and target.runtime.pypys() and "implementation_version" in str(package.marker)
    ]
    left = list(pylock.packages)
    for number, environment in enumerate(environments):
        if number == 1:
            # The other patch releases see the same packages, but for those whose marker names a patch release.
            left = [package for package in left if _OF_A_PATCH.search(str(package.marker))]
        fitting = [package for package in left if _holds(package, environment)]
        taken = {id(package) for package in fitting}
        left = [package for package in left if id(package) not in taken]
        if not fitting:
            continue
        bad = _misfits(fitting, target)
        sources = {
            id(package) for package in fitting if (id(package) in bad or is_direct(package)) and builder.wants(package)
        }
        built, faults = _built([package for package in fitting if id(package) in sources], target, builder, base)
        chosen += built
        unusable += faults
        misfits += [row for identity, row in bad.items() if identity not in sources]
        rest = Pylock(
            lock_version=Version("1.0"),
            created_by=pylock.created_by,
            packages=[package for package in fitting if id(package) not in bad and id(package) not in sources],
        )
        try:
            for package, source in rest.select(environment=environment, tags=target.tags):
                try:
                    chosen.append(_pin(package, source, base))
                except ValueError as fault:
                    unusable.append(f"{package.name}: {fault}")
        except PylockSelectError as fault:
            unusable.append(str(fault))
    if unusable:
        raise UnusableLock(subject, unusable)
    return sorted(chosen, key=lambda pin: pin.wheel.filename), misfits


def _built(packages: Iterable[Package], target: Target, builder: Builder, base: Path) -> tuple[list[Pin], list[str]]:
    """Return pins of what `builder` makes of `packages`, and why it could not make the others."""
    pins, faults = [], []
    for package in packages:
        try:
            wheel = builder.build(package, target, base)
            pins.append(Pin(wheel=wheel, marker=str(package.marker) if package.marker else None))
        except (BuildFailed, DownloadsFailed, FileFault) as fault:
            faults.append(str(fault))
    return pins, faults


def _holds(package: Package, environment: Any) -> bool:
    try:
        return package.marker is None or package.marker.evaluate(environment, context="lock_file")
    except (UndefinedComparison, UndefinedEnvironmentName) as fault:
        raise UnusableLock(str(package.name), [f"its marker means nothing: {package.marker}"]) from fault


def _pin(package: Package, source: object, base: Path) -> Pin:
    if not isinstance(source, PackageWheel | PackageArchive):
        raise ValueError("comes from source code")  # noqa: TRY004  # the lock is at fault, not the caller
    url = source.url or ((base / source.path).resolve().as_uri() if source.path else "")
    filename = source.filename if isinstance(source, PackageWheel) else _filename(source)
    sha256 = source.hashes.get("sha256")
    if sha256 is None:
        raise ValueError("its index gives no SHA-256, so nothing can vouch for the file")
    wheel = Wheel(filename=filename, url=url, sha256=sha256, size=source.size)
    return Pin(wheel=wheel, marker=str(package.marker) if package.marker else None)


def _filename(archive: PackageArchive) -> str:
    return Path(archive.path).name if archive.path else url_filename(archive.url or "")


def _misfits(packages: Iterable[Package], target: Target) -> dict[int, tuple[str, str, str]]:
    """Return, by identity of the package, (name, version, reason) of those with no wheel that fits `target`."""
    compatible = create_compatible_tags_selector(target.tags)
    misfits: dict[int, tuple[str, str, str]] = {}
    for package in packages:
        if package.vcs or package.directory:
            continue
        names = [wheel.filename for wheel in package.wheels or []]
        if package.archive:
            names = [_filename(package.archive)]
        parsed = []
        for name in names:
            try:
                parsed.append((name, parse_wheel_filename(name)[-1]))
            except InvalidWheelFilename:
                continue
        if next(iter(compatible(parsed)), None) is None:
            tags = [tag for _, some in parsed for tag in some]
            reason = _reason(tags, target)
            if not tags and package.sdist is not None:
                reason += f": add --build {package.name}"
            misfits[id(package)] = (package.name, str(package.version or ""), reason)
    return misfits


def _reason(tags: Sequence[Any], target: Target) -> str:
    """Say why none of the wheels with `tags` fits `target`."""
    if not tags:
        return "only a source distribution is published"
    if len(target.runtime.pypys()) > 1 and any(tag.abi.startswith("pypy") for tag in tags):
        return "what is compiled fits some releases of this Python only: name one, such as pypy3.11.15"
    pythons = {(tag.interpreter, tag.abi) for tag in target.tags}
    platforms = {tag.platform for tag in tags if (tag.interpreter, tag.abi) in pythons}
    if not platforms:
        return f"no wheel for Python {target.python}; there are {', '.join(sorted({tag.interpreter for tag in tags}))}"
    libc = target.platform.libc
    if libc and libc[0] == "glibc":
        prefix, machine = f"manylinux_{libc[1]}_", f"_{target.platform.machine}"
        minors = [
            int(platform[len(prefix) : -len(machine)])
            for platform in platforms
            if platform.startswith(prefix) and platform.endswith(machine)
        ]
        if minors:
            return f"its wheels need glibc {libc[1]}.{min(minors)}"
    return f"no wheel for this platform; there are {', '.join(sorted(platforms))}"
