"""The log of the evaluator, which the owner of the job can read."""

from __future__ import annotations

import logging

try:
    from ansys.rep.common.logging import log
except ImportError:  # Not on an evaluator.
    log = logging.getLogger("bundler")

__all__ = ["log"]
