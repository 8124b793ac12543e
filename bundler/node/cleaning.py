"""Cleaning the cache after a job."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from bundler.node.cache import SHARED_FILE_SYSTEMS, file_system
from bundler.node.errors import OfflineRunError
from bundler.node.locks import is_idle
from bundler.node.log import log
from bundler.node.share import copy_checked
from bundler.node.tools import loader_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.node.description import Publication

# Seconds that cleaning the cache may take of a job's time.
GC_TIME = 60


def collect_garbage(publication: Publication, root: str, python: str, environment: Mapping[str, str]) -> None:
    """Remove from the cache what no publication needs, after something new came into it and while no job runs.

    Not where no lock tells whether jobs run: on Windows, and on file systems that several nodes share.
    """
    cache = environment["UV_CACHE_DIR"]
    kept = os.path.join(cache, "bundler")
    due = os.path.exists(os.path.join(kept, "gc-due"))
    if due and is_idle(kept) and file_system(cache) not in SHARED_FILE_SYSTEMS:
        collector = os.path.join(root, "cache_gc.py")
        try:
            environment = dict(environment, **loader_path(python, environment))
            with tempfile.TemporaryDirectory(prefix="bundler-gc-") as folder:
                copy = os.path.join(folder, "cache_gc.py")
                copy_checked(collector, copy, publication["gc"])
                limit = list(filter(None, [environment.get("BUNDLER_CACHE_LIMIT")]))
                subprocess.run([python, "-I", copy, cache, *limit], env=environment, check=False, timeout=GC_TIME)
        except (OSError, OfflineRunError, subprocess.TimeoutExpired) as fault:
            log.warning("The cache was not cleaned: %s", fault)
