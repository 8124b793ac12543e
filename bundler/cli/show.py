"""What people see while something is done; standard output is for what the next command needs."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.progress import Progress

HELP = {"help_option_names": ["-h", "--help"]}


def say(text: str) -> None:
    """Print `text` for the person."""
    click.echo(text, err=True)


@contextlib.contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Yield what shows how far a work is, in one line that changes, or plainly in a log."""
    lively = sys.stderr.isatty()
    last = ""

    def report(progress: Progress) -> None:
        nonlocal last
        if not lively and progress.text != last:
            say(progress.text)
        elif lively:
            amount = f"  {progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB" if progress.total else ""
            end = "\n" if last and progress.text != last else ""
            click.echo(f"{end}\r{progress.text}{amount}\033[K", nl=False, err=True)
        last = progress.text

    try:
        yield report
    finally:
        if lively and last:
            say("")
