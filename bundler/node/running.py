"""Run a command as an HPS task."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence

from bundler.node.errors import OfflineRunError, full_folder

# Runs a command, writes its exit code to a file, and passes signals on to it. A shell gives background commands no
# standard input unless it is named, and a signal interrupts `wait` before the command has ended.
SHELL_REPORT = """
"$@" <&0 &
child=$!
for signal in TERM INT HUP QUIT USR1 USR2; do trap "kill -$signal $child" $signal; done
wait $child
code=$?
while kill -0 $child 2> /dev/null; do
    wait $child
    code=$?
done
echo $code > "$0"
exit $code
"""
# On one line and without quotes that `cmd /c` would read; the command comes from a file, since it may have both.
PYTHON_REPORT = (
    "import json, subprocess, sys; "
    "source = open(sys.argv[2], encoding='utf-8'); command = json.load(source); source.close(); "
    "code = subprocess.call(command); "
    "status = open(sys.argv[1], 'w'); status.write(str(code)); status.close(); "
    "sys.exit(code)"
)


def reporting(command: Sequence[str], python: str, folder: str) -> list[str]:
    """Return `command` wrapped so that it writes its exit code to the file `status` in `folder`.

    HPS does not document how an evaluator reports that a command failed, or whether it does. On Windows, `python` runs
    the command from a file.
    """
    status = os.path.join(folder, "status")
    if os.name != "nt":
        return ["/bin/sh", "-c", SHELL_REPORT, status, *command]
    listed = os.path.join(folder, "command.json")
    with open(listed, "w", encoding="utf-8") as out:
        json.dump(list(command), out)
    return [python, "-I", "-S", "-c", PYTHON_REPORT, status, listed]


def run(
    run_and_capture_output: Callable[..., object],
    command: Sequence[str],
    python: str,
    environment: Mapping[str, str],
) -> None:
    """Run `command` with its output in the console output of the task. Raises `OfflineRunError` if it fails."""
    with tempfile.TemporaryDirectory(prefix="bundler-status-") as folder:
        status = os.path.join(folder, "status")
        error: Exception | None = None
        words = reporting(command, python, folder)
        try:
            run_and_capture_output(words, shell=False, env=environment)
        except Exception as raised:
            error = raised
        if isinstance(error, (TypeError, AttributeError)) and not os.path.exists(status):
            # All public execution scripts pass a string, so an evaluator may support nothing else.
            error = None
            text = (
                subprocess.list2cmdline(words)
                if os.name == "nt"
                else " ".join(map(shlex.quote, words))
            )
            try:
                run_and_capture_output(text, shell=True, env=environment)  # noqa: S604 - quoted above
            except Exception as raised:
                error = raised
        try:
            with open(status, encoding="ascii") as source:
                code = source.read().strip()
        except OSError:
            code = "none"
    if code != "0":
        raise failure(code) from error


def failure(code: str) -> OfflineRunError:
    """Return the error for a script with the exit code `code`; a shell adds 128 to the number of a signal."""
    if code == "137":
        return OfflineRunError(
            "the script was killed (exit code 137), probably because it needs more memory than it may use",
            "request more memory for the job, or look for the reason in the logs of the node",
        )
    if code == "139":
        return OfflineRunError(
            "the script crashed in native code (exit code 139, a segmentation fault)",
            "set the environment variable PYTHONFAULTHANDLER=1 to see where",
        )
    return full_folder(os.getcwd()) or OfflineRunError(
        "the script failed with exit code {}".format(code),
        "read the console output of the script",
    )
