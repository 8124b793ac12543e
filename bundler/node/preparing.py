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
from bundler.node.errors import (
    SPACE_FOR_CACHE,
    OfflineRunError,
    is_about_space,
    quoted,
    remedy,
)
from bundler.node.locks import lacks_locks, turn
from bundler.node.log import log
from bundler.node.share import changed, require_unchanged
from bundler.node.unpacking import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.node.command import Command

# A wheel in a lock of uv.
WHEEL = re.compile(r'path = ("(?:[^"\\]|\\.)*")(?:, hash = "sha256:([0-9a-f]{64})")?')
# Seconds to wait for another job that creates the same environment: the largest have some 10 GB, from a slow store.
LONGEST_PREPARATION = 3600


def prepare(state: str, root: str, command: Command) -> None:
    """Create the environment of the script of `command`, and record for `cache_gc.py` which folders it uses.

    An environment is created once, and never again while the record exists: uv's lock for this is a file in the
    temporary folder, which jobs of a node rarely share, so that concurrent jobs would delete environments in use.
    Therefore jobs take turns here, with a common temporary folder. Raises `OfflineRunError` with the output of uv if it
    fails.
    """
    use = use_of(state, command)
    if is_prepared(use):
        return
    with turn(use, is_prepared, LONGEST_PREPARATION) as mine:
        if is_prepared(use):
            return
        if not mine:
            raise OfflineRunError(
                "another job on this node has been creating the environment for more than an hour",
                "end that job, or ask the administrator of the nodes whether the store is slow",
            )
        holds = command.holds
        if command.launcher is not None:
            require_plain_wheels("{}.lock".format(command.launcher))
            holds = holds + [os.path.dirname(os.path.dirname(_created_python(state, command)))]
        noted = {"publication": os.path.normpath(root), "holds": holds, "prepared": True}
        write_whole(use, json.dumps(noted))
        write_whole(os.path.join(state, "gc-due"), "")


def prepared_python(state: str, command: Command) -> str:
    """Return the path of the Python in the environment of `command`, which `prepare` has made."""
    if command.launcher is None:
        return command.python
    environment = read_json(use_of(state, command))["holds"][-1]
    names = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(environment, *names)


def _created_python(state: str, command: Command) -> str:
    """Create the environment of `command`; return the path of its Python."""
    if lacks_locks(tempfile.gettempdir()):
        log.warning(
            "TMPDIR=%s does not support file locks (flock), which older versions of uv need. The administrator "
            "of the nodes can set TMPDIR to a folder on a local disk.",
            tempfile.gettempdir(),
        )
    folder = os.path.join(state, "locks")
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    environment = dict(command.settings, TMPDIR=folder, TMP=folder, TEMP=folder)
    name = os.path.basename(command.script)
    log.info("Creating the environment of %s with %s", name, command.starter)
    try:
        done = subprocess.run(
            command.starter,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise OfflineRunError(
            "uv does not run from {} ({})".format(command.starter[0], error.strerror),
            "if that disk is mounted noexec, ask the administrator of the nodes to set UV_CACHE_DIR to another disk",
        ) from error
    python = os.fsdecode(done.stdout).strip().rpartition("\n")[2]
    if done.returncode or not os.path.isfile(python):
        raise _failed_preparation(name, done.stderr, "{}.lock".format(command.launcher))
    return python


def _failed_preparation(name: str, words: bytes, lock: str) -> OfflineRunError:
    """Return why uv, which says `words`, could not create the environment of the script `name` from `lock`.

    The wheels are read again here, since a sentence of uv about a damaged one depends on its version and the damage.
    """
    problem = "uv could not create the environment of {}{}".format(name, quoted(words))
    if is_about_space(words):
        return OfflineRunError("the disk of the uv cache is full: " + problem, SPACE_FOR_CACHE)
    try:
        for wheel, sha256 in _wheels_in(lock):
            if sha256:
                require_unchanged(wheel, sha256, "the wheel")
    except OfflineRunError as error:
        return error
    return OfflineRunError(problem, remedy(words))


def _wheels_in(lock: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the SHA-256 digest ("" if there is none) of each wheel in the file `lock` of uv."""
    with open(lock, encoding="utf-8") as source:
        text = source.read()
    for path, sha256 in WHEEL.findall(text):
        yield json.loads(path), sha256


def use_of(state: str, command: Command) -> str:
    """Return the path of the record for `cache_gc.py` about the script of `command`."""
    digest = hashlib.sha256(command.script.encode("utf-8", "surrogatepass")).hexdigest()
    return os.path.join(state, "{}.use".format(digest[:DIGITS]))


def is_prepared(use: str) -> bool:
    """Return whether the record `use` says that the environment was created, and it still exists."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = read_json(use)
        return noted["prepared"] is True and all(map(os.path.isdir, noted["holds"]))
    return False


def require_plain_wheels(lock: str) -> None:
    """Raise `OfflineRunError` if a wheel in the lock is not a regular file, which uv might read forever."""
    for wheel, _ in _wheels_in(lock):
        if os.path.exists(wheel) and not os.path.isfile(wheel):
            raise changed(wheel, "the wheel")
