"""Create the environment of a script before the script runs."""

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


def prepare(state: str, root: str, command: Command) -> None:
    """Create the environment of the script of `command`, and record for `cache_gc.py` which folders it uses.

    uv's lock for this is a file in the temporary folder, which jobs of a node rarely share, so that concurrent jobs
    would delete environments in use. Therefore jobs take turns here, with a common temporary folder.
    """
    use = use_of(state, command)
    with turn(use, is_prepared):
        if is_prepared(use):
            return
        prepared, holds = True, command.holds
        if command.uv is not None:
            if lacks_locks(tempfile.gettempdir()):
                log.warning(
                    "TMPDIR=%s does not support file locks (flock), which older versions of uv need. The administrator "
                    "of the nodes can set TMPDIR to a folder on a local disk.",
                    tempfile.gettempdir(),
                )
            require_plain_wheels("{}.lock".format(command.script))
            folder = os.path.join(state, "locks")
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
            own = dict(command.settings, TMPDIR=folder, TMP=folder, TEMP=folder)
            # A failure will occur again, with a message, when the script runs.
            prepared, _ = quiet([command.uv, "sync", "--quiet", *command.words[2:]], own)
            find = [command.uv, "python", "find", "--offline", "--no-config", "--script", command.script]
            succeeded, place = quiet(find, own)
            holds = holds + [os.path.dirname(os.path.dirname(place))] * succeeded
        noted = {"publication": os.path.normpath(root), "holds": holds, "prepared": prepared}
        write_whole(use, json.dumps(noted))
        write_whole(os.path.join(state, "gc-due"), "")


def use_of(state: str, command: Command) -> str:
    """Return the path of the record for `cache_gc.py` about the script of `command`."""
    # Another Python gets another environment.
    key = repr((command.script, identity(command.python))).encode("utf-8", "surrogatepass")
    return os.path.join(state, "{}.use".format(hashlib.sha256(key).hexdigest()[:DIGITS]))


def is_prepared(use: str) -> bool:
    """Return whether the record `use` says that the environment was created, and it still exists."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = read_json(use)
        return noted["prepared"] is True and all(os.path.isdir(folder) for folder in noted["holds"])
    return False


def require_plain_wheels(lock: str) -> None:
    """Raise `OfflineRunError` if a wheel in the lock is not a regular file, which uv might read forever."""
    with open(lock, encoding="utf-8") as source:
        for wheel in re.findall(r'path = ("(?:[^"\\]|\\.)*")', source.read()):
            path = json.loads(wheel)
            if os.path.exists(path) and not os.path.isfile(path):
                raise changed(path, "the wheel")


def quiet(command: Sequence[str], environment: Mapping[str, str]) -> tuple[bool, str]:
    """Run `command`; return whether it succeeded, and its standard output."""
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return False, ""
    return done.returncode == 0, os.fsdecode(done.stdout).strip()
