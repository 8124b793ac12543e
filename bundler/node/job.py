"""Runs a published script on an HPS evaluator that has no internet.

Made by `publish-index`; only the block marked below differs from one publication to the next. It needs Python 3.8, the
standard library and what the evaluator provides, and it starts the published script with uv:

    uv run --offline --frozen --no-index --find-links WHEELS --script SCRIPT

SCRIPT is a copy on the node of what was published, alone with the other scripts of the publication: whoever can write
to the share cannot put a module beside it. It is always the same path on a node, so all jobs there run in one
environment, which uv keeps in a cache on the node. The lock beside SCRIPT names every wheel with its SHA-256; uv
installs these and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from ansys.rep.evaluator.task_manager import ApplicationExecution

from bundler.node.cleaning import collect_garbage
from bundler.node.command import command_for
from bundler.node.errors import OfflineRunError
from bundler.node.locks import in_use
from bundler.node.log import log
from bundler.node.preparing import prepare, use_of
from bundler.node.running import run
from bundler.node.scripts import choose_scripts
from bundler.node.task import arguments, read_output_parameters, run_environment

if TYPE_CHECKING:
    from bundler.node.command import Command
    from bundler.node.description import Publication

# <publication>
PUBLICATION: Publication = {
    "path": "/shared/store/publications/eval-0123456789ab",
    "base": "/shared/store/publications/eval-0123456789ab",
    "strategy": "index",
    "gc": "sha256 of cache_gc.py",
    "scripts": {"eval.py": "sha256 of the script"},
    "targets": [
        {
            "folder": "targets/3.12-x86_64-manylinux_2_28",
            "python": "3.12",
            "system": "Linux",
            "machine": "x86_64",
            "libc": ["glibc", 2, 28],
            "locks": {"eval.py": "sha256 of its lock"},
            "uv": ["wheels/uv-0.13.9-....whl", "sha256 of a wheel of uv, or uv is None"],
            "interpreter": ["pythons/cpython-3.12.1-....tar.gz", "sha256 of a Python, or interpreter is None"],
            "archives": {
                "eval.py": ["archives/....tar.gz", "sha256 of a cache or an environment, if that is the strategy"]
            },
        }
    ],
}
# </publication>


class PublishedScript(ApplicationExecution):  # type: ignore[misc]  # it has no types
    """The published script as an HPS task."""

    def execute(self) -> None:
        """Run the script, or several in turn; raise `OfflineRunError` when one cannot be run or fails."""
        given = dict(self.context.environment or {})
        told = dict(os.environ, **given)
        root = told.get("BUNDLER_PUBLICATION") or PUBLICATION["path"]
        names = choose_scripts(PUBLICATION, told)
        more_arguments = arguments(told.get("BUNDLER_ARGUMENTS", ""))
        environment = run_environment(os.environ, given)
        # Older servers call it applications.
        software = getattr(self.context, "software", None) or getattr(self.context, "applications", None) or []
        if self.context.parameter_values is None:
            self.context.parameter_values = {}
        kept = os.path.join(environment["UV_CACHE_DIR"], "bundler")
        python = None
        try:
            with in_use(kept):
                for name in names:
                    command = command_for(PUBLICATION, root, name, software, environment)
                    python = command.python
                    prepare(kept, root, command)
                    try:
                        self.run_script(command, more_arguments)
                    finally:
                        with contextlib.suppress(OSError):
                            os.utime(use_of(kept, command))
        finally:
            # Also after a failure, which may have been for want of space.
            if python is not None:
                collect_garbage(PUBLICATION, root, python, environment)

    def run_script(self, command: Command, more_arguments: list[str]) -> None:
        """Run one command, with `more_arguments` for the script, and the parameters of the job.

        They are written before, and those that the script leaves in output_parameters.json are taken back.
        """
        with open("input_parameters.json", "w", encoding="utf-8") as out:
            json.dump(dict(self.context.parameter_values), out, default=str)
        if os.path.exists("output_parameters.json"):
            os.remove("output_parameters.json")  # of an earlier trial in this folder

        words = command.words + more_arguments
        log.info("Running %s", words)
        try:
            run(self.run_and_capture_output, words, command.python, command.settings)
        except OfflineRunError:
            with contextlib.suppress(OfflineRunError):  # the failed run is the news, not what it left behind
                self.context.parameter_values.update(read_output_parameters())
            raise
        self.context.parameter_values.update(read_output_parameters())
