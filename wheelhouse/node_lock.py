"""Write locks of one target: that of uv for nodes, and the standard one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from packaging.markers import Marker
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse import toml, uv
from wheelhouse.selection import Pin
from wheelhouse.target import Target


def write_node_lock(script: Path, pins: Sequence[Pin], target: Target) -> None:
    """Write uv's lock file for a script that will be at `script`, next to its `simple/`.

    uv writes it for a stand-in script that pins every wheel of `target` and declares with `dependency-metadata` that
    none has dependencies. So uv installs exactly `pins`, resolves nothing, and does not need the wheels yet. Markers
    are kept, because the patch release of Python on the node is unknown. The stand-in remains at `script`.
    """
    block = [f'requires-python = "=={target.request.minor}.*"', "dependencies = ["]
    block += [f"    {json.dumps(requirement(pin))}," for pin in pins]
    block += ["]"]
    for pin in pins:
        block += [
            "[[tool.uv.dependency-metadata]]",
            f'name = "{pin.wheel.project}"',
            f'version = "{pin.wheel.version}"',
        ]
    script.write_text("# /// script\n" + "".join(f"# {line}\n" for line in block) + "# ///\n", encoding="utf-8")
    uv.lock(script, f"{script.name}: uv could not lock it for {target}")


def requirement(pin: Pin) -> str:
    """Return `pin` as a dependency specifier (PEP 508)."""
    pinned = f"{pin.wheel.project}=={pin.wheel.version}"
    return f"{pinned} ; {pin.marker}" if pin.marker else pinned


def target_pylock(pins: Sequence[Pin], wheels: str) -> bytes:
    """Return the pylock.toml (PEP 751) of one target; `wheels` is the folder of its wheels, relative to the lock."""
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
