"""The error that ends a job, and the file that keeps it."""

from __future__ import annotations

import contextlib
import os
import platform

# HPS collects this output file, so that users learn why a script could not start.
ERROR_FILE = "bundler_error.txt"

# Lines of another program's output that an error shows.
SHOWN = 12


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
    if b"No space left" in words or b"os error 28" in words or b"quota exceeded" in words:
        return "free space on the disk of the uv cache, or ask the administrator of the nodes for a larger one"
    if b"Hash mismatch" in words:
        return (
            "ask the owner of the store why the wheel was changed, and to publish the bundle again"
        )
    return "ask the administrator of the nodes, or publish the bundle again if a file in the store is damaged"


def store_error(folder: str, error: BaseException | None) -> None:
    """Write `error` to the error file in `folder`, or delete the file of an earlier trial if there is none."""
    path = os.path.join(folder, ERROR_FILE)
    with contextlib.suppress(OSError):
        if error is None:
            if os.path.exists(path):
                os.remove(path)
            return
        text = str(error)
        if not isinstance(error, OfflineRunError):
            text = "node {}: {}: {}".format(platform.node(), type(error).__name__, error)
        with open(path, "w", encoding="utf-8", errors="replace") as out:
            out.write(text + "\n")
