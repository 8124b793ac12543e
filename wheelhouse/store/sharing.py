"""Folders that several users write to: the mode and group of the folder decide, as with git's sharedRepository."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import grp
    import pwd

from wheelhouse import files
from wheelhouse.errors import FileError, PermissionsError, StoreError

_DENIED = (errno.EACCES, errno.EPERM)
# Windows has neither modes nor numeric groups.
_HAS_MODES = os.name == "posix"
# The umask before the blocks that threads are in right now, once for each.
_before: list[int] = []
_lock = threading.Lock()


@contextlib.contextmanager
def sharing(folder: Path) -> Iterator[None]:
    """Create files in the block with the permissions of `folder`, whatever the umask of this user is.

    Sets the umask of the process. New files get the group of `folder` by its setgid bit. Raises `StoreError` if they
    would not, or instead of a `FileError` about missing permissions in `folder`.
    """
    with files.explained(folder):
        status = folder.stat()
    try:
        with _umask(0o777 & ~status.st_mode):
            _require_group(folder, status)
            yield
    except FileError as error:
        is_denied = _HAS_MODES and error.error.errno in _DENIED
        if is_denied and error.path.is_relative_to(folder):
            raise _locked_out(folder, error.path) from error
        raise


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    """Set the umask for the block; when the last of several threads leaves its block, it is as it was before."""
    with _lock:
        previous = os.umask(mask)
        _before.append(_before[0] if _before else previous)
    try:
        yield
    finally:
        with _lock:
            original = _before.pop()
            if not _before:
                os.umask(original)


def share_like_parent(folder: Path) -> None:
    """Give the new `folder` the mode of the folder above, if its group may write there and is inherited (setgid).

    The umask of most users would keep the group out. Raises `OSError`.
    """
    if not _HAS_MODES:
        return
    above = folder.absolute().parent.stat().st_mode
    if above & stat.S_ISGID and above & stat.S_IWGRP:
        folder.chmod(above & (stat.S_ISGID | 0o777))


def share(folder: Path, group: str | None) -> list[str]:
    """Let the members of `group` write everything in `folder`; with None, give everything the permissions of `folder`.

    Returns the paths that belong to other users and need a change. Raises `StoreError` for an unknown group,
    `FileError`.
    """
    foreign = []
    with files.explained(folder):
        if group is not None:
            os.chown(folder, -1, _group_id(group))
            mode = stat.S_IMODE(folder.stat().st_mode)
            folder.chmod(mode | stat.S_IRWXG | stat.S_ISGID)
        status = folder.stat()
        for base, folders, names in os.walk(folder):
            for name in (*folders, *names):
                path = Path(base, name)
                if not _shared(path, status):
                    foreign.append(str(path))
    return foreign


def names_of(status: os.stat_result) -> tuple[str, str]:
    """Return the names of the user and of the group that own a file; numbers if they have no name."""
    if not _HAS_MODES:
        return "unknown", "unknown"
    group = str(status.st_gid)
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    return _user(status.st_uid), group


def user_name() -> str:
    """Return the name of the user of this process."""
    if _HAS_MODES:
        return _user(os.geteuid())
    return os.environ.get("USERNAME", "unknown")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _shared(path: Path, root: os.stat_result) -> bool:
    """Give `path` the group and mode of the folder `root`; return whether it has them now."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return True
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        shared = 0o2777
    elif mode & stat.S_IWUSR:
        shared = 0o666
    else:
        shared = 0o444  # Sealed files stay read-only.
    wanted = mode | (root.st_mode & shared)
    is_of_group = status.st_gid == root.st_gid
    if is_of_group and wanted == mode:
        return True
    try:
        if not is_of_group:
            os.chown(path, -1, root.st_gid)
        path.chmod(wanted)
    except PermissionError:
        return False
    return True


def _group_id(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        hint = "run `getent group` for the groups of this machine"
        raise StoreError(f"there is no group {group}", hint=hint) from None


def _require_group(folder: Path, status: os.stat_result) -> None:
    """Raise `StoreError` if the members of the group could not change what this user creates in `folder`."""
    mode = status.st_mode
    if not _HAS_MODES or mode & stat.S_ISGID or mode & stat.S_IWOTH:
        return
    if not mode & stat.S_IWGRP or status.st_gid == os.getegid():
        return
    owner, group = names_of(status)
    raise PermissionsError(
        f"{folder}: new files would not belong to its group, {group}",
        owner,
        group,
        folder,
    )


def _locked_out(folder: Path, path: Path) -> StoreError:
    """Return the error for a user who may not write to `path` in the store `folder`."""
    while not path.exists() and path != folder:
        path = path.parent
    status = path.stat()
    owner, group = names_of(status)
    user = user_name()
    mode = stat.S_IMODE(status.st_mode)
    message = f"{path}: {user} may not write there (owner {owner}, group {group}, mode {mode:o})"
    if status.st_gid in (os.getegid(), *os.getgroups()):
        return PermissionsError(message, owner, group, folder)
    return StoreError(
        message,
        hint=f"ask the administrator to add {user} to the group {group}, or publish to another store",
    )
