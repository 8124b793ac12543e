"""Standard streams that are closed, or whose disk is full."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """Standard output or error that explains once why it cannot be written to, or drops what nobody can read."""

    def __init__(self, stream: TextIO, *, is_result: bool) -> None:
        super().__init__(stream.fileno(), "w", closefd=False)
        # Without it, `stream` would close its descriptor.
        self._stream = stream
        self._is_result = is_result
        self._failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write `data`. Raises `BrokenPipeError`, and `WheelhouseError` for results that are lost."""
        length = memoryview(data).nbytes
        if self._failed:
            return length
        try:
            return super().write(data) or 0
        except OSError as error:
            # Python writes what is left again when it exits.
            self._failed = True
            if not self._is_result:
                return length
            if isinstance(error, BrokenPipeError):
                raise
            fact = f"standard output: {error.strerror}"
            raise WheelhouseError(fact, hint="make room, or write the output elsewhere") from error


class _Closed(io.TextIOWrapper):
    """What stands for a standard stream that is closed: nobody reads it, and it has nothing to read."""


def prepare() -> None:
    """Connect streams that are closed to the null device, and let messages that cannot be written be lost.

    A file that is opened later would get the number of a closed stream, and with it what child processes write.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _fill(descriptor)
            binary = open(descriptor, "wb" if descriptor else "rb", closefd=False)  # noqa: SIM115 - it stays open
            setattr(sys, name, _Closed(binary, encoding="utf-8", errors="replace"))
    sys.stdout = _guarded(sys.stdout, is_result=True)
    sys.stderr = _guarded(sys.stderr, is_result=False)


def require_output() -> None:
    """Raise `WheelhouseError` if standard output was closed, for a command whose only result is written there."""
    if isinstance(sys.stdout, _Closed):
        raise WheelhouseError(
            "standard output is closed", hint="write to a file, or to a pipe that is read"
        )


def _fill(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.fstat(descriptor)
        return
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def _guarded(stream: TextIO, *, is_result: bool) -> TextIO:
    """Return `stream`, or one that handles errors in its place; a terminal is never full."""
    if stream.isatty() or isinstance(stream, _Closed):
        return stream
    stream.flush()
    output = io.BufferedWriter(_Output(stream, is_result=is_result))
    return io.TextIOWrapper(
        output, encoding=stream.encoding, errors=stream.errors, line_buffering=not is_result
    )
