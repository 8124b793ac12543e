"""Programs that tests leave where the product starts them."""

from __future__ import annotations

import shlex
import sys


def python_program(text: str) -> str:
    """Return `text` as a program of this Python, whose path may have spaces, which a line of `#!` cannot have.

    To a shell the first lines start Python; to Python they are a string.
    """
    return f"""#!/bin/sh
'''exec' {shlex.quote(sys.executable)} -IS "$0" "$@"
' '''
{text}"""
