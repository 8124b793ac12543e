"""The scripts of a publication, and their copies on the node."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING

from bundler.node.errors import OfflineRunError
from bundler.node.share import read_checked
from bundler.node.unpacking import DIGITS, building

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.node.description import Publication, TargetDescription

# Increase this if the contents of the copies change.
VERSION_OF_COPIES = 1


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


def local_scripts(publication: Publication, root: str, target: TargetDescription, state: str) -> str:
    """Return a folder on this node with the scripts and lock files of `target` and nothing else.

    Python would import any module next to a script. The lock files refer to the wheels in the store as mounted here.
    """
    folder = os.path.join(root, *target["folder"].split("/"))
    key = (os.path.abspath(folder), publication["scripts"], target["locks"], VERSION_OF_COPIES)
    digest = hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).hexdigest()
    place = os.path.join(state, digest[:DIGITS])
    if not os.path.isdir(place):
        with building(state, place) as contents:
            for name in sorted(publication["scripts"]):
                script = os.path.join(folder, name)
                data = read_checked(script, publication["scripts"][name], "the script")
                lock = read_checked(script + ".lock", target["locks"][name], "the lock")
                for copy, text in ((name, data), (name + ".lock", with_places(lock, root, folder))):
                    with open(os.path.join(contents, copy), "wb") as out:
                        out.write(text)
    return place


def with_places(lock: bytes, root: str, folder: str) -> bytes:
    """Return the uv lock file `lock` with absolute paths instead of paths relative to its location in the store."""
    text = lock.decode("utf-8")
    places = {
        'path = "../../../wheels/': os.path.join(os.path.abspath(root), "wheels", ""),
        'registry = "simple': os.path.join(os.path.abspath(folder), "simple"),
    }
    for begin, place in places.items():
        key = begin.partition('"')[0]
        text = text.replace(begin, '{}"{}'.format(key, json.dumps(place.replace(os.sep, "/"))[1:-1]))
    return text.encode("utf-8")
