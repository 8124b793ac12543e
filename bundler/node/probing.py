"""Prints facts about a node as JSON, for `bundler check`.

Run it on the node: python3 probe.py > node.json. Needs Python 3.8 or newer and the standard library.
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
    """Return the paths of the Pythons that `uv` finds and of those on PATH, by version."""
    result = {}
    if uv:
        listing = [
            uv,
            "python",
            "list",
            "--only-installed",
            "--offline",
            "--no-config",
            "--output-format",
            "json",
        ]
        try:
            done = subprocess.run(
                listing, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
            )
            for entry in json.loads(done.stdout.decode()):
                spelled = "{}{}".format(
                    "pypy" * (entry["implementation"] == "pypy"), entry["version"]
                )
                spelled += "t" * (entry.get("variant") == "freethreaded")
                is_usual = entry.get("variant") in (None, "default", "freethreaded")
                if is_usual and entry["implementation"] in ("cpython", "pypy"):
                    result[spelled] = entry["path"]
        except (OSError, subprocess.CalledProcessError, ValueError, KeyError, TypeError):
            pass
    for name in [
        form.format(minor)
        for minor in range(8, 30)
        for form in ("python3.{}", "python3.{}t", "pypy3.{}")
    ]:
        path = shutil.which(name)
        output = _output_of([path, "-VV"]) if path else ""
        version = re.search(r"\d+\.\d+\.\d+", output)
        if version:
            is_threaded = "free-threading build" in output
            result[
                "{}{}{}".format("pypy" * ("PyPy" in output), version.group(), "t" * is_threaded)
            ] = path
    return result


def _output_of(command: Sequence[str]) -> str:
    """Return the standard output of `command`, or "" if it fails."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode(errors="replace")


def _version_of(command: Sequence[str]) -> str | None:
    """Return the version that `command` prints, or None if it fails."""
    match = re.search(r"\d+\.\d+(\.\d+)?", _output_of(command))
    return match.group() if match else None


def probe() -> dict[str, Any]:
    """Return facts about this node."""
    system, machine, libc = node_facts()
    uv = shutil.which("uv")
    temporary = tempfile.gettempdir()
    return {
        "system": system,
        "machine": machine,
        "libc": libc,
        "pythons": pythons(uv),
        "uv": _version_of([uv, "--version"]) if uv else None,
        "cache": os.environ.get("UV_CACHE_DIR"),
        "temporary": {"path": temporary, "free": shutil.disk_usage(temporary).free},
    }


if __name__ == "__main__":
    print(json.dumps(probe(), indent=1))
