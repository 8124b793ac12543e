"""What the console output of a script says about its end."""

from __future__ import annotations

import re

# What the node reports of a script that fails by itself.
UNCLEAR = re.compile(r"the script failed with exit code \d+")
_TRACEBACK = "Traceback (most recent call last):"
# Python shows a syntax error of the script itself without a traceback.
_EXCEPTION = re.compile(r"(\w+\.)*\w*(Error|Exception)(: .*)?")
# Of the execution script, which reports the failure of the script.
_OURS = "OfflineRunError"


def explain(reason: str, console: str) -> str:
    """Return `reason`, or the exception that ended a script in its `console` output if that says more."""
    if not UNCLEAR.fullmatch(reason):
        return reason
    exception = exception_in(console)
    if exception:
        return f"the script failed: {exception}"
    return reason


def exception_in(console: str) -> str:
    """Return the first line of the exception that ended a script, from its `console` output; "" if there is none."""
    found = ""
    is_in_traceback = False
    for line in console.splitlines():
        if line == _TRACEBACK:
            is_in_traceback = True
        elif is_in_traceback and line and not line.startswith(" "):
            is_in_traceback = False
            found = _chosen(line, found)
        elif _EXCEPTION.fullmatch(line):
            found = _chosen(line, found)
    return found


def _chosen(line: str, earlier: str) -> str:
    if _OURS in line:
        return earlier
    return line
