"""Running a command as an HPS task does."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from bundler.node.errors import OfflineRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Run a command, leave its exit code in a file, and end it when ended oneself.
SHELL_REPORT = """
"$@" &
child=$!
trap 'kill -TERM $child' TERM INT HUP
wait $child
code=$?
echo $code > "$0"
exit $code
"""
PYTHON_REPORT = """
import subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as status:
    status.write(str(code))
sys.exit(code)
"""


def reporting(command: Sequence[str], python: str, status: str) -> list[str]:
    """Return `command` wrapped so that its exit code is left in the file `status`, on Windows by the help of `python`.

    Nobody outside of HPS can know how an evaluator tells that a command failed, or whether it does.
    """
    if os.name != "nt":
        return ["/bin/sh", "-c", SHELL_REPORT, status, *command]
    return [python, "-I", "-S", "-c", PYTHON_REPORT, status, *command]


def run(
    run_and_capture_output: Callable[..., object],
    command: Sequence[str],
    python: str,
    environment: Mapping[str, str],
) -> None:
    """Run `command`, its output going to the task's console output; raise if it failed."""
    with tempfile.TemporaryDirectory(prefix="bundler-status-") as folder:
        status = os.path.join(folder, "status")
        fault = None
        try:
            run_and_capture_output(reporting(command, python, status), shell=False, env=environment)
        except Exception as raised:
            fault = raised
        try:
            with open(status, encoding="ascii") as source:
                code = source.read().strip()
        except OSError:
            code = "none"
    if code != "0":
        raise OfflineRunError(
            "The script failed (exit code {}). The console output above says why.".format(code)
        ) from fault
