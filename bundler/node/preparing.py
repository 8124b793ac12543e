"""The environment of a script, made before the script runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import tempfile
from typing import TYPE_CHECKING

from bundler.node.cache import read_json, write_whole
from bundler.node.locks import lacks_locks, turn
from bundler.node.log import log
from bundler.node.share import changed
from bundler.node.tools import identity
from bundler.node.unpacking import DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.node.command import Command


def prepare(kept: str, root: str, command: Command) -> None:
    """Make the environment of the script of `command`, and note for `cache_gc.py` what it uses of the cache.

    uv locks it by a file in the temporary folder, which jobs of one node seldom share, and not beside its cache: jobs
    that come at once take apart what others run in. So they take turns, and share a temporary folder for that.
    """
    use = use_of(kept, command)
    with turn(use, is_prepared):
        if is_prepared(use):
            return
        prepared, holds = True, command.holds
        if command.uv is not None:
            if lacks_locks(tempfile.gettempdir()):
                log.warning(
                    "The file system of TMPDIR, %s, has no locks (flock), without which older uv fails. "
                    "The administrator of HPS sets TMPDIR to a folder on a local disk.",
                    tempfile.gettempdir(),
                )
            require_plain_wheels("{}.lock".format(command.script))
            folder = os.path.join(kept, "locks")
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
            own = dict(command.settings, TMPDIR=folder, TMP=folder, TEMP=folder)
            # What goes wrong will go wrong again, and be told, when the script is run.
            prepared, _ = quiet([command.uv, "sync", "--quiet", *command.words[2:]], own)
            find = [command.uv, "python", "find", "--offline", "--no-config", "--script", command.script]
            found, place = quiet(find, own)
            holds = holds + [os.path.dirname(os.path.dirname(place))] * found
        noted = {"publication": os.path.normpath(root), "holds": holds, "prepared": prepared}
        write_whole(use, json.dumps(noted))
        write_whole(os.path.join(kept, "gc-due"), "")


def use_of(kept: str, command: Command) -> str:
    """Return where it is noted for `cache_gc.py` that the script of `command` was run."""
    # Another Python makes the environment anew.
    known = repr((command.script, identity(command.python))).encode("utf-8", "surrogatepass")
    return os.path.join(kept, "{}.use".format(hashlib.sha256(known).hexdigest()[:DIGITS]))


def is_prepared(use: str) -> bool:
    """Return whether a job has noted in the file `use` that its script's environment is made, and that is there yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = read_json(use)
        return noted["prepared"] is True and all(os.path.isdir(folder) for folder in noted["holds"])
    return False


def require_plain_wheels(lock: str) -> None:
    """Raise for a wheel of the lock, a copy on this node, that is no regular file: uv would read it for ever."""
    with open(lock, encoding="utf-8") as source:
        for wheel in re.findall(r'path = ("(?:[^"\\]|\\.)*")', source.read()):
            path = json.loads(wheel)
            if os.path.exists(path) and not os.path.isfile(path):
                raise changed(path, "the wheel")


def quiet(command: Sequence[str], environment: Mapping[str, str]) -> tuple[bool, str]:
    """Run `command`; return whether that went well, and what it wrote to its standard output."""
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return False, ""
    return done.returncode == 0, os.fsdecode(done.stdout).strip()
