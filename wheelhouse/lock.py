"""Locks: one universal lock made by uv (PEP 751), the wheels that a target takes from it, and the lock for the node."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.pylock import Package, PackageArchive, PackageWheel, Pylock, PylockSelectError, PylockValidationError
from packaging.specifiers import SpecifierSet
from packaging.tags import create_compatible_tags_selector
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from wheelhouse import toml, uv
from wheelhouse.errors import NoWheels, PythonRefused, StaleLock, UnusableLock, UvFailed
from wheelhouse.wheel import Wheel, url_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wheelhouse.target import Target

_OF_THE_KERNEL = re.compile(r"\bplatform_(release|version)\b")
_OF_A_PATCH = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A wheel that a target installs, where `marker` holds (always, if it is None)."""

    wheel: Wheel
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What uv found for a script on every platform; `locked` when a lock beside the script dictated it."""

    script: Path
    pylock: Pylock
    locked: bool

    @property
    def requires_python(self) -> SpecifierSet:
        """The Python versions that the lock is for."""
        return self.pylock.requires_python or SpecifierSet()


def lock_path(script: Path) -> Path:
    """Return where uv keeps the lock of `script`."""
    return script.with_name(f"{script.name}.lock")


def resolve(script: Path) -> Resolution:
    """Resolve `script` with uv for all platforms and Pythons it allows; a lock beside it is taken as it is.

    Raises `StaleLock` when that lock does not fit the script, `UvFailed` for all else that uv refuses.
    """
    locked = lock_path(script).is_file()
    code, out, err = uv.export(script, locked=locked)
    if code and locked and "needs to be updated" in err:
        raise StaleLock(lock_path(script), script)
    if code:
        raise UvFailed(f"{script.name}: uv could not resolve its dependencies.", err)
    return Resolution(script=script, pylock=_parse(out, script.name), locked=locked)


def pins(resolution: Resolution, target: Target, project: dict[str, Any], folder: Path) -> list[Pin]:
    """Return what `target` installs.

    Where the universal lock pins versions that have no wheel for the target (it knows nothing of glibc), the target is
    resolved again, wheels only, from `project` (the tables of a pyproject.toml) in the empty folder `folder`.
    Raises `PythonRefused`, `NoWheels`, `UnusableLock`.
    """
    subject = resolution.script.name
    chosen, misfits = _select(resolution.pylock, resolution.requires_python, target, subject)
    if misfits and not resolution.locked:
        (folder / "pyproject.toml").write_text(toml.dumps(project), encoding="utf-8")
        output = folder / "pylock.toml"
        code, _, err = uv.compile_for(folder, python=target.python, platform=target.platform.name, output=output)
        if code:
            raise NoWheels(subject, str(target), misfits, err)
        again = _parse(output.read_text(encoding="utf-8"), subject)
        chosen, misfits = _select(again, resolution.requires_python, target, subject)
    if misfits:
        raise NoWheels(subject, str(target), misfits)
    return chosen


def _parse(text: str, subject: str) -> Pylock:
    """Parse what uv exported; what an index calls its files may still break the rules of PEP 751."""
    try:
        return Pylock.from_dict(toml.loads(text))
    except PylockValidationError as fault:
        raise UnusableLock(subject, [str(fault)]) from fault


def _select(
    pylock: Pylock, requires_python: SpecifierSet, target: Target, subject: str
) -> tuple[list[Pin], list[tuple[str, str, str]]]:
    environments = target.environments(requires_python)
    if not environments:
        raise PythonRefused(subject, str(requires_python), [target.python])
    chosen: list[Pin] = []
    misfits: list[tuple[str, str, str]] = []
    unusable = [
        f"{package.name}: is needed or not depending on the node's kernel ({package.marker})"
        for package in pylock.packages
        if package.marker and _OF_THE_KERNEL.search(str(package.marker))
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
        misfits += bad.values()
        rest = Pylock(
            lock_version=Version("1.0"),
            created_by=pylock.created_by,
            packages=[package for package in fitting if id(package) not in bad],
        )
        try:
            for package, source in rest.select(environment=environment, tags=target.tags):
                try:
                    chosen.append(_pin(package, source))
                except ValueError as fault:
                    unusable.append(f"{package.name}: {fault}")
        except PylockSelectError as fault:
            unusable.append(str(fault))
    if unusable:
        raise UnusableLock(subject, unusable)
    return sorted(chosen, key=lambda pin: pin.wheel.filename), misfits


def _holds(package: Package, environment: Any) -> bool:
    return package.marker is None or package.marker.evaluate(environment, context="lock_file")


def _pin(package: Package, source: object) -> Pin:
    if not isinstance(source, PackageWheel | PackageArchive):
        raise ValueError("comes from source code (git or a folder), and only wheels can be carried")  # noqa: TRY004  # the lock is at fault, not the caller
    url = source.url or (Path(source.path).resolve().as_uri() if source.path else "")
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
            misfits[id(package)] = (package.name, str(package.version or ""), _reason(tags, target))
    return misfits


def _reason(tags: Sequence[Any], target: Target) -> str:
    """Say why none of the wheels with `tags` fits `target`."""
    if not tags:
        return "only a source distribution is published"
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


def write_node_lock(script: Path, pins: Sequence[Pin], target: Target) -> None:
    """Write the lock that uv follows on the node, for a script that will lie at `script` beside its `simple/`.

    uv writes it, from a stand-in script that pins every wheel of `target` and declares (`dependency-metadata`) that
    none depends on another: so uv installs exactly `pins`, resolves nothing, and needs no wheel to be there yet. The
    markers stay, because the patch release of the node's Python is not known. The stand-in is left at `script`.
    """
    minor = ".".join(target.python.split(".")[:2])
    block = [f'requires-python = "=={minor}.*"', "dependencies = ["]
    block += [f"    {json.dumps(requirement(pin))}," for pin in pins]
    block += ["]"]
    for pin in pins:
        block += [
            "[[tool.uv.dependency-metadata]]",
            f'name = "{pin.wheel.project}"',
            f'version = "{pin.wheel.version}"',
        ]
    script.write_text("# /// script\n" + "".join(f"# {line}\n" for line in block) + "# ///\n", encoding="utf-8")
    code, _, err = uv.lock(script)
    if code:
        raise UvFailed(f"{script.name}: uv could not lock it for {target}.", err)


def requirement(pin: Pin) -> str:
    """Return `pin` as a dependency specifier (PEP 508)."""
    pinned = f"{pin.wheel.project}=={pin.wheel.version}"
    return f"{pinned} ; {pin.marker}" if pin.marker else pinned


def target_pylock(pins: Sequence[Pin], wheels: str) -> bytes:
    """Return pylock.toml (PEP 751) of one target; its wheels lie in the folder `wheels`, relative to the lock."""
    from packaging.markers import Marker

    packages = [
        Package(
            name=canonicalize_name(pin.wheel.project),
            version=pin.wheel.version,
            marker=Marker(pin.marker) if pin.marker else None,
            wheels=[
                PackageWheel(
                    path=f"{wheels}/{pin.wheel.filename}", size=pin.wheel.size, hashes={"sha256": pin.wheel.sha256}
                )
            ],
        )
        for pin in pins
    ]
    pylock = Pylock(lock_version=Version("1.0"), created_by="bundler", packages=packages)
    return toml.dumps(pylock.to_dict()).encode()
