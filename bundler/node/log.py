"""Where a job writes what concerns its user: to the log of the evaluator."""

from __future__ import annotations

import logging

try:
    from ansys.rep.common.logging import log
except ImportError:  # no evaluator
    log = logging.getLogger("bundler")

__all__ = ["log"]
