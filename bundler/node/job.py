"""Runs a published script on an HPS evaluator without internet access.

`publish-index` wrote this file; only the marked block differs between publications. It needs Python 3.8 or newer, the
standard library and the modules of the evaluator, and runs the published script with uv:

    uv run --offline --frozen --no-index --find-links WHEELS --script LAUNCHER SCRIPT

SCRIPT is a copy on the node, alone in its folder, so nobody who can write to the store can place a module next to it.
Its path on a node is always the same, so all jobs share one environment in uv's cache. The lock file next to LAUNCHER
lists every wheel with its SHA-256 digest; uv installs these and nothing else. LAUNCHER replaces itself by SCRIPT. It
has no requires-python and no settings by which uv could judge that an environment in use must be made again.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from ansys.rep.evaluator.task_manager import ApplicationExecution

from bundler.node.cleaning import collect_garbage
from bundler.node.command import command_for
from bundler.node.context import software_of, write_context
from bundler.node.errors import (
    OfflineRunError,
    explained,
    remove_error_file,
    reserve_error_file,
    store_error,
)
from bundler.node.locks import in_use
from bundler.node.log import log
from bundler.node.preparing import prepare, use_of
from bundler.node.running import run
from bundler.node.scripts import choose_scripts
from bundler.node.share import without_prefix
from bundler.node.task import arguments, read_output_parameters, run_environment

if TYPE_CHECKING:
    from bundler.node.command import Command
    from bundler.node.description import Publication

# <publication>
PUBLICATION: Publication = {
    "path": "/shared/store/publications/eval-0123456789ab",
    "base": "/shared/store/publications/eval-0123456789ab",
    "strategy": "index",
    "approved": "name and key of the signer, or None",
    "gc": "sha256 of cache_gc.py",
    "scripts": {"eval.py": "sha256 of the script"},
    "targets": [
        {
            "folder": "targets/3.12-x86_64-manylinux_2_28",
            "folders": {"eval.py": "targets/3.12-x86_64-manylinux_2_28/eval"},
            "python": "3.12",
            "system": "Linux",
            "machine": "x86_64",
            "libc": ["glibc", 2, 28],
            "locks": {"eval.py": "sha256 of its lock"},
            "uv": ["wheels/uv-0.13.9-....whl", "sha256 of a wheel of uv, or uv is None"],
            "interpreter": [
                "pythons/cpython-3.12.1-....tar.gz",
                "sha256 of a Python, or interpreter is None",
            ],
            "archives": {
                "eval.py": [
                    "archives/....tar.gz",
                    "sha256 of a cache or an environment, if that is the strategy",
                ]
            },
        }
    ],
}
# </publication>


class PublishedScript(ApplicationExecution):  # type: ignore[misc]  # The class has no types.
    """The published script as an HPS task."""

    def execute(self) -> None:
        """Run the script, or several one after the other. Raises `OfflineRunError` if one cannot run or fails."""
        folder = os.getcwd()
        reserve_error_file(folder)
        try:
            self.run_scripts()
        except Exception as error:
            reason = explained(error, folder)
            store_error(folder, reason)
            if reason is error:
                raise
            raise reason from error
        remove_error_file(folder)

    def run_scripts(self) -> None:
        """Do the work of `execute`."""
        task_environment = dict(self.context.environment or {})
        settings = dict(os.environ, **task_environment)
        root = without_prefix(settings.get("BUNDLER_PUBLICATION") or PUBLICATION["path"])
        if PUBLICATION["approved"]:
            log.info("Signed by %s", PUBLICATION["approved"])
        names = choose_scripts(PUBLICATION, settings)
        more_arguments = arguments(settings.get("BUNDLER_ARGUMENTS", ""))
        resources = bool(settings.get("BUNDLER_JOB_RESOURCES"))
        nulls = arguments(settings.get("BUNDLER_NULL_PARAMETERS", ""))
        environment = run_environment(os.environ, task_environment, os.getcwd())
        software = software_of(self.context)
        if self.context.parameter_values is None:
            self.context.parameter_values = {}
        state = os.path.join(environment["UV_CACHE_DIR"], "bundler")
        python = None
        try:
            with in_use(state):
                for name in names:
                    command = command_for(PUBLICATION, root, name, software, environment)
                    python = command.python
                    prepare(state, root, command)
                    write_context(self.context, resources=resources, nulls=nulls)
                    try:
                        self.run_script(command, more_arguments)
                    finally:
                        with contextlib.suppress(OSError):
                            os.utime(use_of(state, command))
        finally:
            # Also after a failure, which may be due to a full disk.
            if python is not None:
                collect_garbage(PUBLICATION, root, python, environment)

    def run_script(self, command: Command, more_arguments: list[str]) -> None:
        """Run `command` with `more_arguments` for the script.

        Reads output_parameters.json afterwards.
        """
        if os.path.exists("output_parameters.json"):
            os.remove("output_parameters.json")  # From an earlier trial in this folder.

        words = [*command.starter, command.script, *more_arguments]
        log.info("Running %s", words)
        try:
            run(self.run_and_capture_output, words, command.python, command.settings)
        except OfflineRunError:
            with contextlib.suppress(
                OfflineRunError
            ):  # The failed run matters more than what it left.
                self.context.parameter_values.update(read_output_parameters())
            raise
        self.context.parameter_values.update(read_output_parameters())
