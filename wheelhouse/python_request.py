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
# The patch release of each minor version in PyPy 8.0; older ones are PyPy 7.3, with another ABI.
_PYPY_8 = {11: 16, 12: 0}
_PYPY_7 = (7, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonRequest:
    """A minor or patch `version` of an implementation of Python, "cpython" or "pypy"."""

    implementation: str
    version: str
    free_threaded: bool = False

    def __str__(self) -> str:
        """Return uv's notation."""
        return f"{'pypy' * (self.implementation == 'pypy')}{self.version}{'t' * self.free_threaded}"

    @property
    def minor(self) -> str:
        """The version without its patch release."""
        return ".".join(self.version.split(".")[:2])

    @property
    def series(self) -> PythonRequest:
        """The same request for all patch releases."""
        return replace(self, version=self.minor)

    def tags(self, platforms: Sequence[str]) -> Iterator[tags.Tag]:
        """Yield the tags of compatible wheels on `platforms`, best first, in the order of PEP 425."""
        number = (3, int(self.minor.split(".")[1]))
        if self.implementation == "pypy":
            abis = [f"pypy3{number[1]}_pp{major}{minor}" for major, minor in self.pypys()]
            # A compiled wheel must be compatible with everything that the version stands for.
            yield from tags.generic_tags(f"pp3{number[1]}", abis if len(abis) == 1 else ["none"], platforms)
            yield from tags.compatible_tags(number, "pp3", platforms)
        else:
            interpreter = f"cp3{number[1]}"
            abi = f"{interpreter}t" if self.free_threaded else interpreter
            yield from tags.cpython_tags(number, [abi], platforms)
            yield from tags.compatible_tags(number, interpreter, platforms)

    def pypys(self) -> list[tuple[int, int]]:
        """Return the possible (major, minor) releases of PyPy for this version; none for CPython."""
        if self.implementation != "pypy":
            return []
        _, minor, *patch = map(int, self.version.split("."))
        first = _PYPY_8.get(minor, 0 if minor > max(_PYPY_8) else None)
        if first is None or (patch and patch[0] < first):
            return [_PYPY_7]
        return [(8, 0)] if patch or first == 0 else [_PYPY_7, (8, 0)]

    def implementation_version(self, full_version: str) -> str:
        """Return the marker variable of this name (PEP 508) for the patch release `full_version`."""
        return "{}.{}.0".format(*self.pypys()[0]) if self.implementation == "pypy" else full_version


@cache
def parse_python_request(text: str) -> PythonRequest:
    """Return the request `text`. Raises `PythonRequestError`."""
    match = _SPELLED.fullmatch(text)
    if not match:
        raise PythonRequestError(text, "is not a Python version that a target can have")
    implementation, version, threads = match.groups()
    if threads and (implementation == "pypy" or int(version.split(".")[1]) < _FIRST_FREE_THREADED):
        raise PythonRequestError(text, "has no free-threaded builds")
    return PythonRequest(implementation=implementation or "cpython", version=version, free_threaded=bool(threads))
