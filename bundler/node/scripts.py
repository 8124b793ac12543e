"""The scripts of a publication, and their copies on the node."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from bundler.node.errors import OfflineRunError
from bundler.node.share import read_checked
from bundler.node.tools import identity
from bundler.node.unpacking import DIGITS, building

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.node.description import Publication, TargetDescription

# Increase this if the contents of the copies change.
VERSION_OF_COPIES = 2
# What uv runs. The lock of the script lies next to this file instead, so uv reads no metadata of the script: its
# requires-python may exclude the Python of the node (`==3.12` excludes 3.12.1), and then uv would delete the
# environment and make it again at every start, under the jobs that use it. Settings in [tool.uv] could do the same.
LAUNCHER = """\
# /// script
# dependencies = []
# ///
import os
import signal
import sys

if len(sys.argv) == 1:
    print(sys.executable)
elif os.name == "nt":
    import subprocess

    sys.exit(subprocess.call([sys.executable] + sys.argv[1:]))
else:
    # A shell starts background commands with these signals ignored, and everything that they start inherits that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable] + sys.argv[1:])
"""


class LocalScript(NamedTuple):
    """Copies on this node: the script, alone in its folder, and the launcher with the lock of its environment.

    uv names the environment after the launcher, which therefore has the name of the script.
    """

    folder: str
    script: str
    launcher: str


def choose_scripts(publication: Publication, environment: Mapping[str, str]) -> list[str]:
    """Return the names of the scripts to run, in order: the only one, or those in BUNDLER_SCRIPT.

    BUNDLER_SCRIPT is a name or a JSON list of names.
    """
    names = sorted(publication["scripts"])
    value = environment.get("BUNDLER_SCRIPT") or (names[0] if len(names) == 1 else None)
    selection = [value] if value else []
    if value and value not in names and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            selection = list(map(str, json.loads(value)))
    if not selection or not set(selection) <= set(names):
        problem = "BUNDLER_SCRIPT is {!r}".format(value) if value else "BUNDLER_SCRIPT is not set"
        raise OfflineRunError(
            "{}, and the scripts of the publication are {}".format(problem, ", ".join(names)),
            "set the environment variable BUNDLER_SCRIPT of the task definition to one of them, or to a JSON list",
        )
    return selection


def local_script(
    publication: Publication,
    root: str,
    target: TargetDescription,
    name: str,
    python: str,
    state: str,
) -> LocalScript:
    """Return copies of the script `name` of `target` and its lock, in a folder on this node that nobody changes.

    Python would import any module next to a script. The lock refers to the wheels in the store as mounted here. Another
    `python` gets other copies, and so an environment of its own.
    """
    folder = os.path.join(root, *target["folders"][name].split("/"))
    digests = (publication["scripts"][name], target["locks"][name])
    key = (os.path.abspath(folder), name, digests, identity(python), VERSION_OF_COPIES)
    digest = hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).hexdigest()
    place = os.path.join(state, digest[:DIGITS])
    if not os.path.isdir(place):
        data = read_checked(os.path.join(folder, name), digests[0], "the script")
        lock = read_checked(os.path.join(folder, name + ".lock"), digests[1], "the lock")
        copies = (
            ("script", name, data),
            ("launcher", name, LAUNCHER.encode("ascii")),
            ("launcher", name + ".lock", _with_places(lock, root, folder)),
        )
        with building(state, place) as contents:
            for part, filename, text in copies:
                os.makedirs(os.path.join(contents, part), exist_ok=True)
                with open(os.path.join(contents, part, filename), "wb") as out:
                    out.write(text)
    return LocalScript(
        place, os.path.join(place, "script", name), os.path.join(place, "launcher", name)
    )


def _with_places(lock: bytes, root: str, folder: str) -> bytes:
    """Return the uv lock file `lock` with absolute paths instead of paths relative to its location in the store."""
    text = lock.decode("utf-8")
    up = re.search(r'path = "((\.\./)+)wheels/', text)
    places = {'registry = "simple': os.path.join(os.path.abspath(folder), "simple")}
    if up:
        places['path = "{}wheels/'.format(up.group(1))] = os.path.join(
            os.path.abspath(root), "wheels", ""
        )
    for begin, place in places.items():
        key = begin.partition('"')[0]
        # TOML has the same escapes as JSON, but no surrogates, and the character DEL needs one.
        quoted_place = json.dumps(place.replace(os.sep, "/"), ensure_ascii=False)[1:-1]
        quoted_place = quoted_place.replace("\x7f", "\\u007f")
        text = text.replace(begin, '{}"{}'.format(key, quoted_place))
    return text.encode("utf-8")
