"""Facts about a node, and whether a target runs on it."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional, Tuple

    from bundler.node.description import Fit

    # System, machine, and name, major and minor of the C library.
    Facts = Tuple[str, str, Optional[Tuple[str, int, int]]]

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x64": "x86_64"}


def node_facts() -> Facts:
    """Return the system, machine and C library (name, major, minor) of this node; None for an unknown library."""
    machine = platform.machine().lower()
    libc = None
    if platform.system() == "Linux":
        try:
            name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split(" ")
            major, minor = version.split(".")[:2]
            libc = (name, int(major), int(minor))
        except (ValueError, OSError, AttributeError):
            musl = (
                [name for name in os.listdir("/lib") if name.startswith("ld-musl-")]
                if os.path.isdir("/lib")
                else []
            )
            libc = ("musl", 1, 2) if musl else None
    return platform.system(), MACHINES.get(machine, machine), libc


def misfit(target: Fit, facts: Facts) -> str | None:
    """Return why `target` does not run on a node with `facts`, or None if it does."""
    system, machine, libc = facts
    expected = MACHINES.get(target["machine"].lower(), target["machine"].lower())
    if (target["system"], expected) != (system, machine):
        return "is for {} on {}".format(target["system"], expected)
    if target["libc"] and libc:
        name, major, minor = target["libc"]
        if name != libc[0] or (major, minor) > libc[1:]:
            return "needs {} {}.{}".format(name, major, minor)
    return None
