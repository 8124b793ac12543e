"""A terminal of a given width, which shows what a person would see after a command."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

_ROWS = 50


def show(
    command: Sequence[str | Path], width: int, folder: Path, environment: Mapping[str, str]
) -> list[str]:
    """Run `command` on a terminal that is `width` columns wide; return the lines on the screen at its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, width, 0, 0))
    variables = {**environment, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        variables.pop(name, None)
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env=variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = pyte.Screen(width, _ROWS)
    stream = pyte.ByteStream(screen)
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Nobody has the other end open any more.
            break
        if not data:
            break
        stream.feed(data)
    os.close(ours)
    process.wait(timeout=30)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        del lines[-1]
    return lines
