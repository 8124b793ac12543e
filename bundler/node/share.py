"""Files in the store, which are only trusted after their digests were compared."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import IO, TYPE_CHECKING

from bundler.node.errors import OfflineRunError

if TYPE_CHECKING:
    from collections.abc import Callable

# Bytes of an unpacked archive, of a script or lock, and of output parameters; more would be an attack on the node.
LARGEST_ARCHIVE = 32 << 30
LARGEST_SCRIPT = 64 << 20


def without_prefix(path: str) -> str:
    r"""Return `path` without a prefix of Windows that URLs cannot express: `\\?\UNC\server\share`, `\\?\C:\`."""
    if path[:8].upper() == "\\\\?\\UNC\\":
        return "\\\\" + path[8:]
    if path[:4] == "\\\\?\\":
        return path[4:]
    return path


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
    with open(copy, "wb") as out:
        _read_through(source, sha256, "the file", out.write)


def require_unchanged(path: str, sha256: str, meaning: str) -> None:
    """Raise `OfflineRunError` unless a file in the store can be read and has the digest `sha256`."""
    _read_through(path, sha256, meaning, len)


def _read_through(path: str, sha256: str, meaning: str, take: Callable[[bytes], object]) -> None:
    """Pass the contents of a file in the store to `take`, in pieces, and compare its digest with `sha256`."""
    digest = hashlib.sha256()
    size = 0
    with opened(path, meaning) as share:
        for piece in iter(lambda: share.read(1 << 20), b""):
            size += len(piece)
            if size > LARGEST_ARCHIVE:
                raise changed(path, meaning)
            digest.update(piece)
            take(piece)
    if digest.hexdigest() != sha256:
        raise changed(path, meaning)
