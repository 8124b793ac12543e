"""Targets: a Python version and a platform in uv's notation, with their wheel tags and markers."""

from __future__ import annotations

import difflib
import os
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from packaging import tags
from packaging.markers import Environment
from packaging.specifiers import SpecifierSet

from wheelhouse.errors import WheelhouseError
from wheelhouse.python_request import PythonRequest, parse_python_request

# The glibc versions in uv's platform names.
_GLIBC_MINORS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
_ALIASES = {
    "windows": "x86_64-pc-windows-msvc",
    "macos": "aarch64-apple-darwin",
    "linux": "x86_64-manylinux_2_28",
    "x86_64-unknown-linux-gnu": "x86_64-manylinux_2_28",
    "x86_64-manylinux2014": "x86_64-manylinux_2_17",
    "aarch64-unknown-linux-gnu": "aarch64-manylinux_2_28",
    "aarch64-manylinux2014": "aarch64-manylinux_2_17",
}
# uv's default deployment target for macOS, and the musl version of its musl platforms.
_MACOS = (13, 0)
_MUSL = (1, 2)
# PEP 600: the oldest glibc with manylinux tags; machines other than x86-64 start with 2.17.
_OLDEST_GLIBC_MINOR = {"x86_64": 5, "aarch64": 17}
_LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# Distinguishes targets of one Python.
_MARKER_NAMES = (
    "implementation_name",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_system",
    "sys_platform",
)
# `platform_python_implementation` by `implementation_name`; `os_name` and `sys_platform` by `platform_system`.
_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
_NAMES_IN_PYTHON = {
    "Windows": ("nt", "win32"),
    "Darwin": ("posix", "darwin"),
    "Linux": ("posix", "linux"),
}
_EXACT_MINOR = re.compile(r"==(\d+\.\d+)(?=,|$)")
# No minor version of CPython has had more patch releases.
_PATCHES = range(40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An operating system on a machine, with its oldest supported C library.

    `system` and `machine` are the values of Python's `platform` module; `libc` is ("glibc" or "musl", major, minor).
    """

    name: str
    system: str
    machine: str
    libc: tuple[str, int, int] | None = None

    def wheel_platforms(self) -> Iterator[str]:
        """Yield the compatible platform tags, best first, in the order of PEP 425 installers."""
        if self.system == "Darwin":
            yield from tags.mac_platforms(_MACOS, self.machine)
        elif self.system == "Windows":
            yield {"AMD64": "win_amd64", "ARM64": "win_arm64", "x86": "win32"}[self.machine]
        elif self.libc is not None:
            yield from _linux_platforms(self.machine, *self.libc)


def _linux_platforms(machine: str, libc: str, major: int, minor: int) -> Iterator[str]:
    if libc == "musl":
        for number in range(minor, -1, -1):
            yield f"musllinux_{major}_{number}_{machine}"
    else:
        for number in range(minor, _OLDEST_GLIBC_MINOR[machine] - 1, -1):
            yield f"manylinux_{major}_{number}_{machine}"
            if number in _LEGACY_MANYLINUX:
                yield f"{_LEGACY_MANYLINUX[number]}_{machine}"
    yield f"linux_{machine}"


def _platforms() -> Iterator[Platform]:
    for machine in ("x86_64", "aarch64"):
        for minor in _GLIBC_MINORS:
            yield Platform(
                name=f"{machine}-manylinux_2_{minor}",
                system="Linux",
                machine=machine,
                libc=("glibc", 2, minor),
            )
        yield Platform(
            name=f"{machine}-unknown-linux-musl",
            system="Linux",
            machine=machine,
            libc=("musl", *_MUSL),
        )
    for machine, marker in (
        ("x86_64", "AMD64"),
        ("aarch64", "ARM64"),
        ("i686", "x86"),
    ):
        yield Platform(name=f"{machine}-pc-windows-msvc", system="Windows", machine=marker)
    for machine, marker in (("x86_64", "x86_64"), ("aarch64", "arm64")):
        yield Platform(name=f"{machine}-apple-darwin", system="Darwin", machine=marker)


PLATFORMS = {platform.name: platform for platform in _platforms()}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A Python in uv's notation (3.12, 3.13t), and one of `PLATFORMS`."""

    python: str
    platform: Platform

    @property
    def name(self) -> str:
        """The name of the target in folders and messages."""
        return f"{self.python}-{self.platform.name}"

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform.name}"

    @property
    def request(self) -> PythonRequest:
        """The parsed `python`."""
        return parse_python_request(self.python)

    @cached_property
    def tags(self) -> tuple[tags.Tag, ...]:
        """The compatible wheel tags, best first."""
        return tuple(self.request.tags(list(self.platform.wheel_platforms())))

    def environments(self, requires_python: SpecifierSet) -> list[Environment]:
        """Return the marker environments of the patch releases that `requires_python` allows, oldest first.

        A minor version stands for all its patch releases, and dependencies may depend on the patch release
        (`python_full_version < "3.11.3"`). The list is empty if no patch release is allowed.
        """
        requires_python = lenient(requires_python)
        version = self.request.version
        patches = [version]
        if version == self.request.minor:
            patches = [f"{version}.{patch}" for patch in _PATCHES]
        allowed = requires_python.filter(patches, prereleases=True)
        return [self._environment(patch) for patch in allowed]

    def marker(self, requires_python: SpecifierSet) -> str:
        """Return the marker (PEP 508) that is true in the environments of the target that `requires_python` allows."""
        version = self.request.version
        pattern = f"{version}.*" if version == self.request.minor else version
        bounds = lenient(requires_python)
        environment = {**self._environment(version)}
        parts = [f"python_full_version == '{pattern}'"]
        parts += [f"python_full_version {bound.operator} '{bound.version}'" for bound in bounds]
        parts += [f"{name} == '{environment[name]}'" for name in _MARKER_NAMES]
        return " and ".join(parts)

    def _environment(self, full_version: str) -> Environment:
        system = self.platform.system
        os_name, sys_platform = _NAMES_IN_PYTHON[system]
        return {
            "implementation_name": self.request.implementation,
            "implementation_version": self.request.implementation_version(full_version),
            "os_name": os_name,
            "platform_machine": self.platform.machine,
            # Like uv for a foreign platform, since the kernel of the node is unknown.
            "platform_release": "",
            "platform_python_implementation": _IMPLEMENTATIONS[self.request.implementation],
            "platform_system": system,
            "platform_version": "",
            "python_full_version": full_version,
            "python_version": self.request.minor,
            "sys_platform": sys_platform,
        }


def lenient(requires_python: SpecifierSet) -> SpecifierSet:
    """Return `requires_python` with `==3.12.*` for `==3.12`, which means 3.12.0 only.

    uv runs such a script with any 3.12, with the dependencies of the Python that runs.
    """
    text, count = _EXACT_MINOR.subn(r"==\1.*", str(requires_python))
    return SpecifierSet(text) if count else requires_python


def environment_markers(targets: Iterable[Target], requires_python: SpecifierSet) -> list[str]:
    """Return disjoint markers (PEP 508) that together are true in the environments of `targets`, in their order.

    Targets that only differ in the C library or the build of Python share a marker; a minor version of Python covers
    its patch releases.
    """
    targets = list(targets)
    minors = {_series(target) for target in targets if target.request == target.request.series}
    markers = []
    for target in targets:
        series = replace(target, python=str(target.request.series))
        covering = series if _series(target) in minors else target
        markers.append(covering.marker(requires_python))
    return list(dict.fromkeys(markers))


def _series(target: Target) -> tuple[str, str, PythonRequest]:
    return (
        target.platform.system,
        target.platform.machine,
        target.request.series,
    )


def _unknown_platform(name: str, names: Sequence[str]) -> WheelhouseError:
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = "use one of uv's names of platforms"
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    return WheelhouseError(f"{name} is not a supported platform", hint=hint)


@cache
def parse_platform(name: str) -> Platform:
    """Return the platform with uv's name `name`. Raises `WheelhouseError`."""
    try:
        return PLATFORMS[_ALIASES.get(name, name)]
    except KeyError:
        raise _unknown_platform(name, [*sorted(_ALIASES), *PLATFORMS]) from None


def aliases_of(name: str) -> list[str]:
    """Return the other names of a platform."""
    return sorted(alias for alias, platform in _ALIASES.items() if platform == name)


def this_platform() -> Platform:
    """Return the platform of this machine, with its glibc rounded down to one in uv's names."""
    system, machine = platform.system(), platform.machine()
    libc, newest = "", 0
    if system == "Linux":
        libc, newest = _libc()
    fitting = None
    for candidate in PLATFORMS.values():
        if (candidate.system, candidate.machine) != (system, machine):
            continue
        if candidate.libc is None or (candidate.libc[0] == libc and candidate.libc[2] <= newest):
            fitting = candidate
    if fitting is None:
        raise _unknown_platform(f"{system} on {machine}", [*PLATFORMS])
    return fitting


def _libc() -> tuple[str, int]:
    """Return the C library of this Linux, "glibc" or "musl", and its minor version."""
    try:
        kind, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):  # musl has no such name.
        return "musl", _MUSL[1]
    return kind, int(version.split(".")[1])
