"""Clean the cache after a job."""

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

# Seconds that a job may spend on cleaning the cache.
GC_TIME = 60


def collect_garbage(
    publication: Publication, root: str, python: str, environment: Mapping[str, str]
) -> None:
    """Remove unused entries from the cache if something was added to it and no job is running.

    Does nothing where no lock shows whether jobs are running: on Windows, and on shared file systems.
    """
    cache = environment["UV_CACHE_DIR"]
    state = os.path.join(cache, "bundler")
    due = os.path.exists(os.path.join(state, "gc-due"))
    if due and is_idle(state) and file_system(cache) not in SHARED_FILE_SYSTEMS:
        collector = os.path.join(root, "cache_gc.py")
        try:
            environment = dict(environment, **loader_path(python, environment))
            with tempfile.TemporaryDirectory(prefix="bundler-gc-") as folder:
                copy = os.path.join(folder, "cache_gc.py")
                copy_checked(collector, copy, publication["gc"])
                limit = list(filter(None, [environment.get("BUNDLER_CACHE_LIMIT")]))
                subprocess.run(
                    [python, "-I", copy, cache, *limit],
                    env=environment,
                    check=False,
                    timeout=GC_TIME,
                )
        except (OSError, OfflineRunError, subprocess.TimeoutExpired) as error:
            log.warning("The uv cache was not cleaned: %s", error)
