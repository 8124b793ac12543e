"""Files of the share: opened with care, and believed only by their digests."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from bundler.node.errors import OfflineRunError

if TYPE_CHECKING:
    from typing import IO

# Bytes of what an archive unpacks to, of a script or a lock, and of what scripts leave; more is an attack on the node.
LARGEST_ARCHIVE = 32 << 30
LARGEST_SCRIPT = 64 << 20


def opened(path: str, meaning: str) -> IO[bytes]:
    """Open a file of the share for reading; raise with what may be wrong where it cannot be.

    What is no regular file was published by nobody, and might have no end. No pipe is waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as fault:
        raise OfflineRunError(
            "Cannot read {} {} ({}). Is the share mounted on this node, at the same path, and readable for this "
            "user?".format(meaning, path, fault.strerror)
        ) from fault
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise changed(path, meaning)
    return os.fdopen(descriptor, "rb")


def changed(path: str, meaning: str) -> OfflineRunError:
    """Return the error for a file of the share whose digest is not the published one."""
    return OfflineRunError(
        "{} {} was changed since it was published. Publish the bundle again.".format(meaning.capitalize(), path)
    )


def read_checked(path: str, sha256: str, meaning: str) -> bytes:
    """Return the bytes of a file of the share; raise unless it has the digest `sha256`."""
    with opened(path, meaning) as source:
        data = source.read(LARGEST_SCRIPT)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise changed(path, meaning)
    return data


def copy_checked(source: str, copy: str, sha256: str) -> None:
    """Copy a file from the share; raise unless it is there and has the digest `sha256`."""
    digest = hashlib.sha256()
    with opened(source, "the file") as share, open(copy, "wb") as out:
        for chunk in iter(lambda: share.read(1 << 20), b""):
            if out.tell() > LARGEST_ARCHIVE:
                raise changed(source, "the file")
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != sha256:
        raise changed(source, "the file")
