"""What stops a job, in words for the user and the administrator."""

from __future__ import annotations


class OfflineRunError(RuntimeError):
    """What is wrong, and who can fix it."""
