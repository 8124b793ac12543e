"""What the console output of a script says about its end."""

from __future__ import annotations

import re

# What the node reports if an exception ended the script, since Python ends with 1 then. Scripts choose other codes.
UNCLEAR = "the script failed with exit code 1"
# An exception above the last lines is one that the script handled.
LAST_LINES = 15
_TRACEBACK = "Traceback (most recent call last):"
# Python shows an error in the syntax of the script itself without a traceback.
_SYNTAX = re.compile(r"(Syntax|Indentation|Tab)Error: .*")
# Of the execution script, which reports the failure of the script.
_OURS = "OfflineRunError"


def reason_in(console: str) -> str:
    """Return the exception that ended a script, from its `console` output, as a reason; `UNCLEAR` if there is none."""
    shown = [character if character.isprintable() else " " for character in exception_in(console)]
    exception = "".join(shown).strip()
    if exception:
        return f"the script failed: {exception}"
    return UNCLEAR


def exception_in(console: str) -> str:
    """Return the first line of the last exception in the last lines of `console`; "" if there is none."""
    lines = console.splitlines()
    found = ""
    is_in_traceback = False
    for number, line in enumerate(lines):
        if line == _TRACEBACK:
            is_in_traceback = True
            continue
        ends_traceback = is_in_traceback and line and not line.startswith(" ")
        if not ends_traceback and not _SYNTAX.fullmatch(line):
            continue
        is_in_traceback = False
        if number >= len(lines) - LAST_LINES and _OURS not in line:
            found = line
    return found
