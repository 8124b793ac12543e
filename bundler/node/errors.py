"""The error that ends a job."""

from __future__ import annotations

import platform


class OfflineRunError(RuntimeError):
    """A problem that keeps a script from running: where it occurred, what it is, and who can fix it how."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__("node {}: {}\nhint: {}".format(platform.node(), problem, remedy))
