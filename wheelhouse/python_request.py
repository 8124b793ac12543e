"""Python versions in uv's notation (3.12, 3.13t, pypy3.10), with their wheel tags and marker variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from packaging import tags

from wheelhouse.errors import PythonRequestError

_NUMBER = r"3\.(?:0|[1-9]\d?)(?:\.(?:0|[1-9]\d?))?"
_SPELLED = re.compile(rf"(?:(cpython|pypy)[@-]?)?({_NUMBER})(t|\+freethreaded)?")
# The first version with free-threaded builds of CPython.
_FIRST_FREE_THREADED = 13
# The releases of PyPy, which have different ABIs, and the first version of Python 3 with the newer one.
_PYPY_7 = (7, 3)
_PYPY_8 = (8, 0)
_FIRST_PYPY_8 = (11, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonRequest:
    """A minor or patch `version` of an implementation of Python, "cpython" or "pypy"."""

    implementation: str
    version: str
    free_threaded: bool = False

    def __str__(self) -> str:
        """Return uv's notation."""
        prefix = "pypy" if self.implementation == "pypy" else ""
        suffix = "t" if self.free_threaded else ""
        return f"{prefix}{self.version}{suffix}"

    @property
    def minor(self) -> str:
        """The version without its patch release."""
        return "{}.{}".format(*self._numbers)

    @property
    def _numbers(self) -> list[int]:
        return [int(number) for number in self.version.split(".")]

    @property
    def series(self) -> PythonRequest:
        """The same request for all patch releases."""
        return replace(self, version=self.minor)

    def tags(self, platforms: Sequence[str]) -> Iterator[tags.Tag]:
        """Yield the tags of compatible wheels on `platforms`, best first, in the order of PEP 425."""
        number = self._numbers[1]
        version = (3, number)
        if self.implementation == "pypy":
            abis = [f"pypy3{number}_pp{major}{minor}" for major, minor in self.pypys()]
            # A compiled wheel must be compatible with everything that the version stands for.
            if len(abis) > 1:
                abis = ["none"]
            yield from tags.generic_tags(f"pp3{number}", abis, platforms)
            yield from tags.compatible_tags(version, "pp3", platforms)
        else:
            interpreter = f"cp3{number}"
            abi = f"{interpreter}t" if self.free_threaded else interpreter
            yield from tags.cpython_tags(version, [abi], platforms)
            yield from tags.compatible_tags(version, interpreter, platforms)

    def pypys(self) -> list[tuple[int, int]]:
        """Return the possible (major, minor) releases of PyPy for this version; none for CPython."""
        if self.implementation != "pypy":
            return []
        minor, *patch = self._numbers[1:]
        if minor == _FIRST_PYPY_8[0] and not patch:
            return [_PYPY_7, _PYPY_8]
        if (minor, *patch) < _FIRST_PYPY_8:
            return [_PYPY_7]
        return [_PYPY_8]

    def implementation_version(self, full_version: str) -> str:
        """Return the marker variable of this name (PEP 508) for the patch release `full_version`."""
        if self.implementation != "pypy":
            return full_version
        major, minor = self.pypys()[0]
        return f"{major}.{minor}.0"


@cache
def parse_python_request(text: str) -> PythonRequest:
    """Return the request `text`. Raises `PythonRequestError`."""
    match = _SPELLED.fullmatch(text)
    if not match:
        raise PythonRequestError(text, "is not a Python version that a target can have")
    implementation, version, threads = match.groups()
    if threads:
        minor = int(version.split(".")[1])
        if implementation == "pypy" or minor < _FIRST_FREE_THREADED:
            raise PythonRequestError(text, "has no free-threaded builds")
    return PythonRequest(
        implementation=implementation or "cpython",
        version=version,
        free_threaded=bool(threads),
    )
