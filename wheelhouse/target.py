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
    **{
        f"{machine}-{alias}": f"{machine}-{name}"
        for machine in ("x86_64", "aarch64")
        for alias, name in (("unknown-linux-gnu", "manylinux_2_28"), ("manylinux2014", "manylinux_2_17"))
    },
}
# uv's default deployment target for macOS, and the musl version of its musl platforms.
_MACOS = (13, 0)
_MUSL = (1, 2)
# PEP 600: the oldest glibc with manylinux tags; machines other than x86-64 start with 2.17.
_OLDEST_GLIBC_MINOR = {"x86_64": 5, "aarch64": 17}
_LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# Distinguishes targets of one Python.
_MARKER_NAMES = (
    *("implementation_name", "os_name", "platform_machine", "platform_python_implementation", "platform_system"),
    "sys_platform",
)
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
            kind, major, minor = self.libc
            oldest = 0 if kind == "musl" else _OLDEST_GLIBC_MINOR[self.machine]
            for number in range(minor, oldest - 1, -1):
                yield f"{'musl' if kind == 'musl' else 'many'}linux_{major}_{number}_{self.machine}"
                if kind == "glibc" and number in _LEGACY_MANYLINUX and number >= oldest:
                    yield f"{_LEGACY_MANYLINUX[number]}_{self.machine}"
            yield f"linux_{self.machine}"


def _platforms() -> Iterator[Platform]:
    for machine in ("x86_64", "aarch64"):
        for minor in _GLIBC_MINORS:
            yield Platform(
                name=f"{machine}-manylinux_2_{minor}", system="Linux", machine=machine, libc=("glibc", 2, minor)
            )
        yield Platform(name=f"{machine}-unknown-linux-musl", system="Linux", machine=machine, libc=("musl", *_MUSL))
    for machine, marker in (("x86_64", "AMD64"), ("aarch64", "ARM64"), ("i686", "x86")):
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
        patches = [f"{version}.{patch}" for patch in _PATCHES] if version.count(".") == 1 else [version]
        allowed = [version for version in patches if requires_python.contains(version, prereleases=True)]
        return [self._environment(version) for version in allowed]

    def marker(self, requires_python: SpecifierSet) -> str:
        """Return the marker (PEP 508) that is true in the environments of the target that `requires_python` allows."""
        requires_python = lenient(requires_python)
        version = self.request.version
        pattern = f"{version}.*" if version.count(".") == 1 else version
        bounds = [("==", pattern), *((specifier.operator, specifier.version) for specifier in requires_python)]
        environment = {**self._environment(version)}
        named = [(name, "==", environment[name]) for name in _MARKER_NAMES]
        rows = [*(("python_full_version", operator, text) for operator, text in bounds), *named]
        return " and ".join(f"{name} {operator} '{text}'" for name, operator, text in rows)

    def _environment(self, full_version: str) -> Environment:
        system = self.platform.system
        return {
            "implementation_name": self.request.implementation,
            "implementation_version": self.request.implementation_version(full_version),
            "os_name": "nt" if system == "Windows" else "posix",
            "platform_machine": self.platform.machine,
            # Like uv for a foreign platform, since the kernel of the node is unknown.
            "platform_release": "",
            "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}[self.request.implementation],
            "platform_system": system,
            "platform_version": "",
            "python_full_version": full_version,
            "python_version": self.request.minor,
            "sys_platform": {"Windows": "win32", "Darwin": "darwin", "Linux": "linux"}[system],
        }


def lenient(requires_python: SpecifierSet) -> SpecifierSet:
    """Return `requires_python` with `==3.12.*` for `==3.12`, which means 3.12.0 only.

    uv runs such a script with any 3.12, with the dependencies of the Python that runs.
    """
    text = str(requires_python)
    return SpecifierSet(_EXACT_MINOR.sub(r"==\1.*", text)) if _EXACT_MINOR.search(text) else requires_python


def environment_markers(targets: Iterable[Target], requires_python: SpecifierSet) -> list[str]:
    """Return disjoint markers (PEP 508) that together are true in the environments of `targets`, in their order.

    Targets that only differ in the C library or the build of Python share a marker; a minor version of Python covers
    its patch releases.
    """
    targets = list(targets)
    minors = {
        (target.platform.system, target.platform.machine, str(target.request.series))
        for target in targets
        if target.request == target.request.series
    }
    wide = (
        replace(target, python=str(target.request.series))
        if (target.platform.system, target.platform.machine, str(target.request.series)) in minors
        else target
        for target in targets
    )
    return list(dict.fromkeys(target.marker(requires_python) for target in wide))


def _unknown_platform(name: str, names: Sequence[str]) -> WheelhouseError:
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "use one of uv's names of platforms"
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
    fitting = [
        candidate for candidate in PLATFORMS.values() if (candidate.system, candidate.machine) == (system, machine)
    ]
    if system == "Linux":
        try:
            kind, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        except (ValueError, OSError):  # musl has no such name.
            kind, version = "musl", "{}.{}".format(*_MUSL)
        minor = int(version.split(".")[1])
        fitting = [
            candidate
            for candidate in fitting
            if candidate.libc and candidate.libc[0] == kind and candidate.libc[2] <= minor
        ]
    if not fitting:
        raise _unknown_platform(f"{system} on {machine}", [*PLATFORMS])
    return fitting[-1]
