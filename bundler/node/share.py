"""Files in the store, which are only trusted after their digests were compared."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import IO

from bundler.node.errors import OfflineRunError

# Bytes of an unpacked archive, of a script or lock, and of output parameters; more would be an attack on the node.
LARGEST_ARCHIVE = 32 << 30
LARGEST_SCRIPT = 64 << 20


def opened(path: str, meaning: str) -> IO[bytes]:
    """Open a file in the store for reading. Raises `OfflineRunError` if that fails or it is not a regular file.

    A special file could be endless; opening does not wait for a pipe.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        )
    except OSError as error:
        raise OfflineRunError(
            "cannot read {} {} ({})".format(meaning, path, error.strerror),
            "ask the administrator of the nodes whether the store is mounted at this path and readable for this user",
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise changed(path, meaning)
    return os.fdopen(descriptor, "rb")


def changed(path: str, meaning: str) -> OfflineRunError:
    """Return the error for a file in the store whose digest is not the published one."""
    return OfflineRunError(
        "{} {} was changed after it was published".format(meaning, path),
        "ask the owner of the store to find out why, and to publish the bundle again",
    )


def read_checked(path: str, sha256: str, meaning: str) -> bytes:
    """Return the bytes of a file in the store. Raises `OfflineRunError` unless it has the digest `sha256`."""
    with opened(path, meaning) as source:
        data = source.read(LARGEST_SCRIPT)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise changed(path, meaning)
    return data


def copy_checked(source: str, copy: str, sha256: str) -> None:
    """Copy a file from the store. Raises `OfflineRunError` unless it has the digest `sha256`."""
    digest = hashlib.sha256()
    with opened(source, "the file") as share, open(copy, "wb") as out:
        for chunk in iter(lambda: share.read(1 << 20), b""):
            if out.tell() > LARGEST_ARCHIVE:
                raise changed(source, "the file")
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != sha256:
        raise changed(source, "the file")
