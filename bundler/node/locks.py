"""Turns of the jobs of one node."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # as everybody does
    import msvcrt

from bundler.node.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

# Seconds that a job waits for another one of this node that looks for the same; unpacking a Python takes two.
PATIENCE = 30


@contextlib.contextmanager
def turn(place: str, done: Callable[[str], object]) -> Iterator[None]:
    """Let one job of this node into the block at once; others enter when `done(place)`, or after a while.

    The lock ends with the process that holds it, however that ends.
    """
    until = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # no place to agree, or no locks there: each does it for itself
            os.makedirs(os.path.dirname(place), exist_ok=True)
            lock = held.enter_context(open("{}.turn".format(place), "a+b"))
            while not lock_now(lock) and not done(place) and time.monotonic() < until:
                time.sleep(0.02)
        yield


def lock_now(lock: IO[bytes]) -> bool:
    """Lock the open file `lock` for this process; return whether nobody else holds it."""
    try:
        if fcntl is None:
            lock.seek(0)
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def lacks_locks(folder: str) -> bool:
    """Return whether the file system of `folder` has no locks (flock), without which uv does not install there."""
    if fcntl is None:
        return False
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@contextlib.contextmanager
def in_use(kept: str) -> Iterator[None]:
    """Keep what is in the cache from being removed while the block runs; the lock ends with the process."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            os.makedirs(kept, exist_ok=True)
            # Readable too, since NFS gives shared locks on nothing else.
            lock = held.enter_context(open(os.path.join(kept, "jobs.lock"), "a+b"))
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.info("Waiting until the uv cache of this node is cleaned")
                    fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def is_idle(kept: str) -> bool:
    """Return whether no job of this user runs on this node; not where nobody can tell."""
    if fcntl is None:
        return False
    try:
        with open(os.path.join(kept, "jobs.lock"), "a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
