"""Prints what a node is, as JSON: give it to `bundler check` before jobs are sent there.

It needs Python 3.8 and the standard library and runs by hand or as a job of its own: python probe.py > node.json
"""

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile

# <facts> the same as in exec_script.py
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x64": "x86_64"}


def node_facts():
    """Return system, machine and C library (name, major, minor) of this node, None for a library nobody can tell."""
    machine = platform.machine().lower()
    libc = None
    if platform.system() == "Linux":
        try:
            name, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
            libc = (name,) + tuple(int(part) for part in version.split(".")[:2])
        except (ValueError, OSError, AttributeError):
            musl = [name for name in os.listdir("/lib") if name.startswith("ld-musl-")] if os.path.isdir("/lib") else []
            libc = ("musl", 1, 2) if musl else None
    return platform.system(), MACHINES.get(machine, machine), libc


def misfit(target, facts):
    """Return why `target` does not run on a node of `facts`, or None if it does."""
    system, machine, libc = facts
    wanted = MACHINES.get(target["machine"].lower(), target["machine"].lower())
    if (target["system"], wanted) != (system, machine):
        return "is for {} on {}".format(target["system"], wanted)
    if target["libc"] and libc:
        name, major, minor = target["libc"]
        if name != libc[0] or (major, minor) > libc[1:]:
            return "needs {} {}.{}".format(name, major, minor)
    return None


# </facts>


def pythons(uv):
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


def output_of(command):
    """Return what `command` prints, nothing if it does not run."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode(errors="replace")


def version_of(command):
    """Return the version that `command` prints, None if it does not run."""
    found = re.search(r"\d+\.\d+(\.\d+)?", output_of(command))
    return found.group() if found else None


def probe():
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
