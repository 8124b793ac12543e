"""The error that ends a job, and the file that keeps it."""

from __future__ import annotations

import contextlib
import os
import platform

# HPS collects this output file, so that users learn why a script could not start.
ERROR_FILE = "bundler_error.txt"


class OfflineRunError(RuntimeError):
    """A problem that keeps a script from running: where it occurred, what it is, and who can fix it how."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__("node {}: {}\nhint: {}".format(platform.node(), problem, remedy))


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
