"""Locks between the jobs of a node."""

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
    fcntl = None  # type: ignore[assignment]  # The usual idiom.
    import msvcrt

from bundler.node.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

# Seconds to wait for another job on this node that does the same work; unpacking a Python takes two.
PATIENCE = 30


@contextlib.contextmanager
def turn(place: str, done: Callable[[str], object], patience: float = PATIENCE) -> Iterator[bool]:
    """Run the block in one job of this node at a time; others wait until `done(place)` is true, for `patience` seconds.

    Yields False if another job still has its turn. The operating system releases the lock when the process ends.
    """
    until = time.monotonic() + patience
    mine = True
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # Without a lock file, each job does the work itself.
            os.makedirs(os.path.dirname(place), exist_ok=True)
            lock = held.enter_context(open("{}.turn".format(place), "a+b"))
            mine = lock_now(lock)
            while not mine and not done(place) and time.monotonic() < until:
                time.sleep(0.02)
                mine = lock_now(lock)
        yield mine


def lock_now(lock: IO[bytes]) -> bool:
    """Lock the open file `lock`; return whether that was possible."""
    try:
        if fcntl is None:
            lock.seek(0)
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def lacks_locks(folder: str) -> bool:
    """Return whether the file system of `folder` does not support file locks (flock), which uv needs."""
    if fcntl is None:
        return False
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@contextlib.contextmanager
def in_use(state: str) -> Iterator[None]:
    """Prevent cleaning of the cache during the block; the lock ends with the process."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            os.makedirs(state, exist_ok=True)
            # Opened for reading, too, since NFS needs that for shared locks.
            lock = held.enter_context(open(os.path.join(state, "jobs.lock"), "a+b"))
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.info("Waiting for another job to clean the uv cache")
                    fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def hold_after_exec(state: str) -> None:
    """Prevent cleaning of the cache as long as this process lives, also after it has become another program."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        # Never closed: the lock belongs to what the process becomes, and to what that starts.
        descriptor = os.open(os.path.join(state, "jobs.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - as the standard library has it
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def is_idle(state: str) -> bool:
    """Return whether no job of this user is running on this node; False if that is unknown."""
    if fcntl is None:
        return False
    try:
        with open(os.path.join(state, "jobs.lock"), "a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
