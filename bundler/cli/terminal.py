"""What commands write: results to standard output; messages, progress and errors to standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bundler.lazily import lazily
from bundler.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

with lazily():
    from bundler.cli import bar

_STYLES = {"error:": "red", "warning:": "yellow", "hint:": "cyan"}


@dataclass(slots=True)
class _Output:
    """How much this process writes, and whether in colour; None leaves that to the stream."""

    quiet: bool = False
    colour: bool | None = None
    # While something is drawn on standard error, all that is written there goes through this.
    console: Console | None = None


class _Handler(logging.Handler):
    """Writes records of the library to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` as a line."""
        _write(self.format(record))


# One process writes to one terminal, and errors are shown after click has closed its context.
_output = _Output()


def set_quiet() -> None:
    """Write only results, warnings and errors from now on."""
    _output.quiet = True


def set_verbose() -> None:
    """Write what the library logs, too: the commands it runs and the requests it sends."""
    handler = _Handler()
    handler.setFormatter(logging.Formatter("%(relativeCreated)7d ms  %(message)s"))
    for name in ("bundler", "wheelhouse"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)


def set_colour(when: str) -> None:
    """Write in colour always, never, or where the stream is a terminal and NO_COLOR is not set (auto)."""
    colours = {"always": True, "never": False}
    if os.environ.get("NO_COLOR"):
        colours["auto"] = False
    _output.colour = colours.get(when)


def result(value: Any, lines: Iterable[object], *, as_json: bool = False) -> None:
    """Print the result of a command: `lines`, or with `as_json` the document `value`."""
    if as_json:
        click.echo(json.dumps(value, indent=2, default=str))
    else:
        for line in lines:
            click.echo(line, color=_output.colour)
    sys.stdout.flush()


def say(text: str) -> None:
    """Write `text` for the user, unless quiet."""
    if not _output.quiet:
        _write(text)


def warn(text: str) -> None:
    """Write the warning `text`."""
    _marked(f"warning: {text}")


def show_error(text: str) -> None:
    """Write the error `text`; its hint has a line of its own."""
    _marked(f"error: {text}")


def _marked(text: str) -> None:
    """Write an error or warning, with names of files that others chose: without what would control the terminal."""
    plain = "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
    lines = []
    for line in plain.split("\n"):
        label = line.partition(" ")[0]
        if label in _STYLES:
            styled = click.style(label, fg=_STYLES[label], bold=True)
            lines.append(styled + line.removeprefix(label))
        else:
            lines.append(line)
    _write("\n".join(lines))


def _write(text: str) -> None:
    """Write `text` to standard error, above what is drawn there."""
    if _output.console is None:
        click.echo(text, err=True, color=_output.colour)
        return
    shown = click.unstyle(text) if _output.colour is False else text
    bar.write_line(_output.console, shown)


@contextlib.contextmanager
def _drawing() -> Iterator[Console]:
    """Yield a console for drawing; in the block, everything else is written through it."""
    _output.console = bar.drawing_console(colour=_output.colour)
    try:
        yield _output.console
    finally:
        _output.console = None


@contextlib.contextmanager
def reporting() -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows progress: a bar on a terminal, one line for each step in a log."""
    if _is_lively():
        with _drawing() as console, bar.bar(console) as draw:
            yield _with_notices(draw)
        return
    say_change = _saying_changes()
    yield _with_notices(lambda progress: say_change(progress.text))


def _with_notices(show_step: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return a function that shows steps with `show_step`, and writes notes and warnings."""

    def report(progress: Progress) -> None:
        if progress.kind == "step":
            show_step(progress)
        elif progress.kind == "warning":
            warn(progress.text)
        else:
            say(progress.text)

    return report


@contextlib.contextmanager
def counting_jobs() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows a text and how many of all jobs have ended: a bar on a terminal, or one line each."""
    if _is_lively():
        with _drawing() as console, bar.job_bar(console) as show:
            yield show
        return
    say_state = _saying_changes()

    def show_line(text: str, _done: int, _total: int) -> None:
        say_state(text)  # It has the number of jobs in each state.

    yield show_line


def _saying_changes() -> Callable[[str], None]:
    """Return a function that says a text unless it is the previous one: news may come many times a second."""
    previous: str | None = None

    def say_change(text: str) -> None:
        nonlocal previous
        if text != previous:
            previous = text
            say(text)

    return say_change


def _is_lively() -> bool:
    """Return whether standard error is a terminal on which lines can be drawn again."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not _output.quiet
