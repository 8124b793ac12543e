"""The error that ends a job, and the file that keeps it."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import tempfile

# HPS collects this output file, so that users learn why a script could not start.
ERROR_FILE = "bundler_error.txt"

# Lines of another program's output that an error shows.
SHOWN = 12
# Bytes of the error file that are written before the script runs.
RESERVED = 1 << 13
# Bytes that a disk must take not to count as full.
PROBE = 1 << 16
SPACE_FOR_CACHE = (
    "free space on the disk of the uv cache, or ask the administrator of the nodes for a larger one"
)


class OfflineRunError(RuntimeError):
    """A problem that keeps a script from running: where it occurred, what it is, and who can fix it how."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__("node {}: {}\nhint: {}".format(platform.node(), problem, remedy))


def quoted(output: bytes) -> str:
    """Return the end of another program's `output`, indented, to follow a problem; "" if there is none."""
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return "".join("\n  {}".format(line) for line in lines[-SHOWN:])


def remedy(words: bytes) -> str:
    """Return who can do what about a failure that uv describes with `words`."""
    if is_about_space(words):
        return SPACE_FOR_CACHE
    if b"Hash mismatch" in words:
        return (
            "ask the owner of the store why the wheel was changed, and to publish the bundle again"
        )
    return "ask the administrator of the nodes, or publish the bundle again if a file in the store is damaged"


def is_about_space(words: bytes) -> bool:
    """Return whether `words` of uv say that a disk is full."""
    return b"No space left" in words or b"os error 28" in words or b"quota exceeded" in words


def full_folder(task_folder: str) -> OfflineRunError | None:
    """Return the error for the folder of a job, or its temporary folder, that is full; None if both have room."""
    if is_full(task_folder):
        return OfflineRunError(
            "the folder of the job is full: {}".format(task_folder),
            "request more disk space for the job, or let the script write less",
        )
    temporary = tempfile.gettempdir()
    if is_full(temporary):
        return OfflineRunError(
            "the temporary folder of the node is full: {}".format(temporary),
            "ask the administrator of the nodes to free space there, or to set TMPDIR to a larger disk",
        )
    return None


def explained(error: Exception, task_folder: str) -> Exception:
    """Return the error that tells users more than `error` if that is about a full disk; otherwise `error`."""
    if not isinstance(error, OSError) or not says_full(error):
        return error
    in_cache = OfflineRunError("the disk of the uv cache is full", SPACE_FOR_CACHE)
    return full_folder(task_folder) or in_cache


def is_full(folder: str) -> bool:
    """Return whether nothing can be written to `folder`. Only writing tells, since a quota may be used up."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * PROBE)
            probe.flush()
    except OSError as error:
        return says_full(error)
    return False


def says_full(error: OSError) -> bool:
    """Return whether `error` says that a disk is full or a quota is used up."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def reserve_error_file(folder: str) -> None:
    """Write an empty error file in `folder` with room for an error, which a full disk must not keep from the user.

    Raises `OfflineRunError` if `folder` is full already.
    """
    try:
        with open(os.path.join(folder, ERROR_FILE), "wb") as out:
            out.write(b"\n" * RESERVED)
    except OSError as error:
        if says_full(error):
            raise full_folder(folder) or error from error
        # A folder that cannot be written fails later, if the script needs it.


def store_error(folder: str, error: BaseException) -> None:
    """Write `error` to the error file in `folder`, where `reserve_error_file` reserved room for it."""
    path = os.path.join(folder, ERROR_FILE)
    text = str(error)
    if not isinstance(error, OfflineRunError):
        text = "node {}: {}: {}".format(platform.node(), type(error).__name__, error)
    line = text.encode("utf-8", "replace") + b"\n"
    with contextlib.suppress(OSError), open(path, "r+b" if os.path.exists(path) else "wb") as out:
        out.write(line)
        out.truncate()


def remove_error_file(folder: str) -> None:
    """Remove the error file in `folder`, after a task without an error."""
    with contextlib.suppress(OSError):
        os.remove(os.path.join(folder, ERROR_FILE))
