"""What people see while something is done; standard output is for what the next command needs."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Generator

    from bundler.progress import Progress

_T = TypeVar("_T")
HELP = {"help_option_names": ["-h", "--help"]}


def say(text: str) -> None:
    """Print `text` for the person."""
    click.echo(text, err=True)


def follow(work: Generator[Progress, None, _T]) -> _T:
    """Do `work` to its end and return its result; show how far it is in one line that changes, or plainly in a log."""
    lively = sys.stderr.isatty()
    shown = ""
    with contextlib.closing(work):  # an interrupt may come between two steps of it
        try:
            while True:
                progress = next(work)
                if not lively and progress.text != shown:
                    say(progress.text)
                elif lively:
                    amount = f"  {progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB" if progress.total else ""
                    end = "\n" if shown and progress.text != shown else ""
                    click.echo(f"{end}\r{progress.text}{amount}\033[K", nl=False, err=True)
                shown = progress.text
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
        finally:
            if lively and shown:
                say("")
