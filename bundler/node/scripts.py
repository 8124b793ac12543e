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

# To be raised when what is copied to nodes, beside what was published, changes.
VERSION_OF_COPIES = 1


def choose_scripts(publication: Publication, environment: Mapping[str, str]) -> list[str]:
    """Return the names of the scripts to run, in turn: the only one, or what BUNDLER_SCRIPT names.

    Several scripts are a JSON list there.
    """
    names = sorted(publication["scripts"])
    wanted = environment.get("BUNDLER_SCRIPT") or (names[0] if len(names) == 1 else None)
    chosen = [wanted] if wanted else []
    if wanted and wanted not in names and wanted.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            chosen = list(map(str, json.loads(wanted)))
    if not chosen or not set(chosen) <= set(names):
        raise OfflineRunError(
            "The publication holds {}. Set BUNDLER_SCRIPT in the environment of the task definition to one of them or "
            "a JSON list of them, or give `bundler rehearse` one as --script (it is {!r}).".format(
                ", ".join(names), wanted
            )
        )
    return chosen


def local_scripts(publication: Publication, root: str, target: TargetDescription, kept: str) -> str:
    """Return a folder on this node with the scripts and the locks of `target`, just as published, and nothing else.

    Python imports what lies beside a script. The locks lead to the wheels on the share, wherever that is mounted.
    """
    folder = os.path.join(root, *target["folder"].split("/"))
    known = (os.path.abspath(folder), publication["scripts"], target["locks"], VERSION_OF_COPIES)
    digest = hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()
    place = os.path.join(kept, digest[:DIGITS])
    if not os.path.isdir(place):
        with building(kept, place) as contents:
            for name in sorted(publication["scripts"]):
                script = os.path.join(folder, name)
                data = read_checked(script, publication["scripts"][name], "the script")
                lock = read_checked(script + ".lock", target["locks"][name], "the lock")
                for copy, text in ((name, data), (name + ".lock", with_places(lock, root, folder))):
                    with open(os.path.join(contents, copy), "wb") as out:
                        out.write(text)
    return place


def with_places(lock: bytes, root: str, folder: str) -> bytes:
    """Return a lock of uv with the paths in it, which start from its place on the share, made absolute."""
    text = lock.decode("utf-8")
    places = {
        'path = "../../../wheels/': os.path.join(os.path.abspath(root), "wheels", ""),
        'registry = "simple': os.path.join(os.path.abspath(folder), "simple"),
    }
    for begin, place in places.items():
        key = begin.partition('"')[0]
        text = text.replace(begin, '{}"{}'.format(key, json.dumps(place.replace(os.sep, "/"))[1:-1]))
    return text.encode("utf-8")
