"""The uv cache of a node, and small files in it."""

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

SHARED_FILE_SYSTEMS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "lustre",
    "gpfs",
    "beegfs",
    "fuse.sshfs",
    "9p",
    "afs",
    "ceph",
)
LARGEST_JSON = 256 << 20


def cache_folder(environment: Mapping[str, str]) -> str:
    """Return the uv cache that the jobs of this user on this node share; create it if necessary.

    This is UV_CACHE_DIR if it belongs to the user, a folder of the user in it if it is shared (other users could write
    anything to a shared cache), or a folder in the temporary folder.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else ""
    registered = environment.get("UV_CACHE_DIR")
    folder = _registered_cache(registered, user) if registered else None
    if folder is not None and not lacks_locks(folder):
        _warn_of_noexec(folder)
        return folder
    if registered:
        reason = (
            "does not support file locks (flock), which uv needs"
            if folder
            else "is not writable for this user"
        )
        log.warning(
            "UV_CACHE_DIR=%s %s, so the cache is in %s. The administrator of the nodes can set UV_CACHE_DIR to a "
            "folder on a local disk that users can write to.",
            registered,
            reason,
            tempfile.gettempdir(),
        )
    folder = private_folder(
        os.path.join(tempfile.gettempdir(), "bundler-uv-cache{}".format(user and "-" + user))
    )
    _warn_of_noexec(folder)
    return folder


def _warn_of_noexec(folder: str) -> None:
    """Log a warning if programs and compiled modules in `folder` cannot run."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no such mounts.
        if os.statvfs(folder).f_flag & os.ST_NOEXEC:
            log.warning(
                "The uv cache %s is on a disk that is mounted noexec, so compiled modules and programs in it do not "
                "run. The administrator of the nodes can set UV_CACHE_DIR to a folder on another disk.",
                folder,
            )


def _registered_cache(registered: str, user: str) -> str | None:
    """Return the cache of `user` in the folder `registered`, or None if the user cannot write there."""
    with contextlib.suppress(OSError):
        os.makedirs(registered, exist_ok=True)
    own = os.path.join(registered, "user-{}".format(user))
    if os.access(registered, os.W_OK | os.X_OK):
        if not user or is_private(registered):
            return registered
        return private_folder(own) if keeps_entries(registered) else None
    if user and os.path.isdir(own) and is_private(own) and keeps_entries(registered):
        return own
    return None


def keeps_entries(folder: str) -> bool:
    """Return whether no other user can rename what this user has in `folder`: it is root's or ours, or sticky."""
    status = os.stat(folder)
    return status.st_uid in (0, os.getuid()) or bool(status.st_mode & stat.S_ISVTX)


def is_private(folder: str) -> bool:
    """Return whether only this user can have written to `folder`."""
    status = os.lstat(folder)
    mine = not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & 0o022
    )
    return stat.S_ISDIR(status.st_mode) and mine


def private_folder(folder: str) -> str:
    """Create `folder` for this user alone and return it. Raises `OfflineRunError` if it belongs to another user."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        private = is_private(folder)
    except OSError as error:
        raise OfflineRunError(
            "cannot create the uv cache {} ({})".format(folder, error.strerror),
            "ask the administrator of the nodes to set UV_CACHE_DIR to a local folder that users can write to",
        ) from error
    if not private:
        raise OfflineRunError(
            "the uv cache {} belongs to another user".format(folder),
            "ask its owner to delete it, or the administrator of the nodes to set UV_CACHE_DIR to another folder",
        )
    return folder


def file_system(folder: str) -> str:
    """Return the type of the file system of `folder`, by its name on Linux, or "" if it is unknown."""
    match = ("", "")
    with contextlib.suppress(OSError):
        real = os.path.realpath(folder)
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                point, kind = line.split(" ")[1:3]
                is_above = (real + "/").startswith(point.rstrip("/") + "/")
                if is_above and len(point) >= len(match[0]):
                    match = (point, kind)
    return match[1]


def read_json(path: str) -> Any:
    """Return the JSON document in the file `path`. Raises `OSError`, `ValueError`, `RecursionError`."""
    with open(path, "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        data = source.read(LARGEST_JSON + 1)
    if len(data) > LARGEST_JSON:
        raise ValueError("it is larger than {} MB".format(LARGEST_JSON >> 20))
    return json.loads(data.decode("utf-8"))


def write_whole(path: str, text: str) -> None:
    """Write a small file atomically. A failure is ignored, since it only costs time later."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=os.path.dirname(path), delete=False, encoding="utf-8"
        ) as out:
            out.write(text)
        os.replace(out.name, path)
