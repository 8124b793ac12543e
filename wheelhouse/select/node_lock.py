"""Write locks of one target: that of uv for nodes, and the standard one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from packaging.markers import Marker
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.version import Version

from wheelhouse import toml
from wheelhouse.resolve import uv
from wheelhouse.select.selection import Pin
from wheelhouse.target import Target


def write_node_lock(script: Path, pins: Sequence[Pin], target: Target) -> None:
    """Write uv's lock file for a script that will be at `script`, next to its `simple/`.

    uv writes it for a stand-in script that pins every wheel of `target` and declares with `dependency-metadata` that
    none has dependencies. So uv installs exactly `pins`, resolves nothing, and does not need the wheels yet. Markers
    are kept, because the patch release of Python on the node is unknown. The stand-in remains at `script`.
    """
    lines = [f'requires-python = "=={target.request.minor}.*"', "dependencies = ["]
    lines += [f"    {json.dumps(requirement(pin))}," for pin in pins]
    lines.append("]")
    for pin in pins:
        lines.append("[[tool.uv.dependency-metadata]]")
        lines.append(f'name = "{pin.wheel.project}"')
        lines.append(f'version = "{pin.wheel.version}"')
    block = "".join(f"# {line}\n" for line in lines)
    script.write_text(f"# /// script\n{block}# ///\n", encoding="utf-8")
    uv.lock(script, f"{script.name}: uv could not lock it for {target}")


def requirement(pin: Pin) -> str:
    """Return `pin` as a dependency specifier (PEP 508)."""
    pinned = f"{pin.wheel.project}=={pin.wheel.version}"
    if pin.marker:
        return f"{pinned} ; {pin.marker}"
    return pinned


def target_pylock(pins: Sequence[Pin], wheels: str) -> bytes:
    """Return the pylock.toml (PEP 751) of one target; `wheels` is the folder of its wheels, relative to the lock."""
    packages = [_package(pin, f"{wheels}/{pin.wheel.filename}") for pin in pins]
    pylock = Pylock(
        lock_version=Version("1.0"),
        created_by="bundler",
        packages=packages,
    )
    return toml.dumps(pylock.to_dict()).encode()


def _package(pin: Pin, path: str) -> Package:
    wheel = PackageWheel(
        path=path,
        size=pin.wheel.size,
        hashes={"sha256": pin.wheel.sha256},
    )
    return Package(
        name=pin.wheel.project,
        version=pin.wheel.version,
        marker=Marker(pin.marker) if pin.marker else None,
        wheels=[wheel],
    )
