"""The platforms and Python versions for which bundles can be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bundler.bundles.targets import minors
from wheelhouse.resolve import uv
from wheelhouse.target import PLATFORMS, Platform, aliases_of


def platforms() -> dict[str, str]:
    """Return what each platform means, by name."""
    return {name: _meaning(platform) for name, platform in PLATFORMS.items()}


def pythons() -> dict[str, str]:
    """Return what each minor version of Python means, by the name that `--python` accepts, oldest first."""
    cpython = uv.all_pythons("cpython")
    meanings = {}
    for minor in minors(cpython):
        meanings[minor] = f"CPython {minor}"
    for minor in minors([entry for entry in cpython if entry["variant"] == "freethreaded"]):
        meanings[f"{minor}t"] = f"free-threaded CPython {minor}"
    for minor in minors(uv.all_pythons("pypy")):
        meanings[f"pypy{minor}"] = f"PyPy {minor}"
    return meanings


def supported() -> dict[str, Any]:
    """Return the platforms and Pythons as a document for JSON."""
    return {
        "platforms": [
            {
                "name": name,
                "nodes": _meaning(platform),
                "best-wheels": next(platform.wheel_platforms()),
                "aliases": list(aliases_of(name)),
            }
            for name, platform in PLATFORMS.items()
        ],
        "pythons": list(pythons()),
    }


def table(values: Mapping[str, Any]) -> str:
    """Return the document `values` of `supported` as text of at most 100 columns."""
    rows = [("PLATFORM", "NODES", "ALIASES")]
    rows += [
        (entry["name"], entry["nodes"], ", ".join(entry["aliases"]))
        for entry in values["platforms"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [
        f"{name:{widths[0]}}  {nodes:{widths[1]}}  {aliases}".rstrip()
        for name, nodes, aliases in rows
    ]
    names = values["pythons"]
    cpython = [name for name in names if name[0].isdigit() and not name.endswith("t")]
    return "\n".join(
        [
            *lines,
            "",
            f"CPython: {', '.join(cpython)}, or a range such as '>=3.11,<3.14'",
            f"Free-threaded CPython: {', '.join(name for name in names if name.endswith('t'))}",
            f"PyPy: {', '.join(name for name in names if name.startswith('pypy'))}",
        ]
    )


def _meaning(platform: Platform) -> str:
    if platform.libc is None:
        system = "macOS 13 or newer" if platform.system == "Darwin" else platform.system
        return f"{system}, {platform.machine}"
    name, major, minor = platform.libc
    return f"Linux with {name} {major}.{minor} or newer, {platform.machine}"
