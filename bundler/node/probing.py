"""Prints what a node is, as JSON: give it to `bundler check` before jobs are sent there.

It needs Python 3.8 and the standard library and runs by hand or as a job of its own: python probe.py > node.json
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

from bundler.node.facts import node_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def pythons(uv: str | None) -> dict[str, str]:
    """Return the Pythons that `uv` finds and those on the PATH, by version."""
    found = {}
    if uv:
        listing = [uv, "python", "list", "--only-installed", "--offline", "--no-config", "--output-format", "json"]
        try:
            done = subprocess.run(listing, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            for each in json.loads(done.stdout.decode()):
                spelled = "{}{}".format("pypy" * (each["implementation"] == "pypy"), each["version"])
                spelled += "t" * (each.get("variant") == "freethreaded")
                known = each.get("variant") in (None, "default", "freethreaded")
                if known and each["implementation"] in ("cpython", "pypy"):
                    found[spelled] = each["path"]
        except (OSError, subprocess.CalledProcessError, ValueError, KeyError, TypeError):
            pass
    for name in [form.format(minor) for minor in range(8, 30) for form in ("python3.{}", "python3.{}t", "pypy3.{}")]:
        path = shutil.which(name)
        told = output_of([path, "-VV"]) if path else ""
        version = re.search(r"\d+\.\d+\.\d+", told)
        if version:
            is_threaded = "free-threading build" in told
            found["{}{}{}".format("pypy" * ("PyPy" in told), version.group(), "t" * is_threaded)] = path
    return found


def output_of(command: Sequence[str]) -> str:
    """Return what `command` prints, nothing if it does not run."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode(errors="replace")


def version_of(command: Sequence[str]) -> str | None:
    """Return the version that `command` prints, None if it does not run."""
    found = re.search(r"\d+\.\d+(\.\d+)?", output_of(command))
    return found.group() if found else None


def probe() -> dict[str, Any]:
    """Return the facts of this node."""
    system, machine, libc = node_facts()
    uv = shutil.which("uv")
    temporary = tempfile.gettempdir()
    return {
        "system": system,
        "machine": machine,
        "libc": libc,
        "pythons": pythons(uv),
        "uv": version_of([uv, "--version"]) if uv else None,
        "cache": os.environ.get("UV_CACHE_DIR"),
        "temporary": {"path": temporary, "free": shutil.disk_usage(temporary).free},
    }


if __name__ == "__main__":
    print(json.dumps(probe(), indent=1))
