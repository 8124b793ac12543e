"""The uv cache of a node: where it is, who uses it, and small files in it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from typing import TYPE_CHECKING

from bundler.node.errors import OfflineRunError
from bundler.node.locks import lacks_locks
from bundler.node.log import log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SHARED_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "fuse.sshfs", "9p", "afs", "ceph")
LARGEST_JSON = 256 << 20


def cache_folder(environment: Mapping[str, str]) -> str:
    """Return the uv cache of this node for this user, which jobs share; make it if need be.

    It is UV_CACHE_DIR if that is the user's own, a folder of the user's in it if it is for several users (a cache that
    others may write to could hold anything), else one in the temporary folder.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else ""
    registered = environment.get("UV_CACHE_DIR")
    folder = registered_cache(registered, user) if registered else None
    if folder is not None and not lacks_locks(folder):
        return folder
    if registered:
        reason = "has no locks (flock), which uv needs" if folder else "cannot be written by this user"
        log.warning(
            "UV_CACHE_DIR %s %s; using a cache in %s. The administrator of HPS sets UV_CACHE_DIR in the registration "
            "of uv to a folder on a local disk that users can write.",
            registered,
            reason,
            tempfile.gettempdir(),
        )
    return private_folder(os.path.join(tempfile.gettempdir(), "bundler-uv-cache{}".format(user and "-" + user)))


def registered_cache(registered: str, user: str) -> str | None:
    """Return the cache in the folder `registered` for `user`, None where this user cannot write there."""
    with contextlib.suppress(OSError):
        os.makedirs(registered, exist_ok=True)
    own = os.path.join(registered, "user-{}".format(user))
    if os.access(registered, os.W_OK | os.X_OK):
        return registered if not user or is_private(registered) else private_folder(own)
    return own if user and os.path.isdir(own) and is_private(own) else None


def is_private(folder: str) -> bool:
    """Return whether nobody but this user can have written to `folder`."""
    found = os.lstat(folder)
    mine = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return stat.S_ISDIR(found.st_mode) and mine


def private_folder(folder: str) -> str:
    """Make `folder` for this user alone and return it; raise if somebody else has made it."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        private = is_private(folder)
    except OSError as fault:
        raise OfflineRunError(
            "Cannot make the uv cache {} ({}). The administrator of HPS sets UV_CACHE_DIR in the registration of uv "
            "to a folder on a local disk that users can write.".format(folder, fault.strerror)
        ) from fault
    if not private:
        raise OfflineRunError(
            "The uv cache {} belongs to somebody else. Its owner removes it, or the administrator of HPS sets "
            "UV_CACHE_DIR in the registration of uv.".format(folder)
        )
    return folder


def file_system(folder: str) -> str:
    """Return the type of the file system that `folder` lies on, as Linux calls it, "" where nobody can tell."""
    found = ("", "")
    with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        real = os.path.realpath(folder)
        for line in mounts:
            point, kind = line.split(" ")[1:3]
            if (real + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(found[0]):
                found = (point, kind)
    return found[1]


def read_json(path: str) -> Any:
    """Return what the file `path` holds as JSON; raise `OSError`, `ValueError`, `RecursionError`."""
    with open(path, "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise ValueError("it is no plain file")
        data = source.read(LARGEST_JSON + 1)
    if len(data) > LARGEST_JSON:
        raise ValueError("it is larger than {} MB".format(LARGEST_JSON >> 20))
    return json.loads(data.decode("utf-8"))


def write_whole(path: str, text: str) -> None:
    """Write a small file so that a reader sees all of it or nothing; a disk that refuses costs only time later."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False, encoding="utf-8") as out:
            out.write(text)
        os.replace(out.name, path)
