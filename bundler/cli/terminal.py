"""What commands write: results to standard output; messages, progress and errors to standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from bundler.lazily import lazily
from bundler.progress import Progress

with lazily():
    from bundler.cli import bar

_STYLES = {"error:": "red", "warning:": "yellow", "hint:": "cyan"}


@dataclass(slots=True)
class _Output:
    """How much this process writes, and whether in colour; None leaves that to the stream."""

    quiet: bool = False
    colour: bool | None = None


# One process writes to one terminal, and errors are shown after click has closed its context.
_output = _Output()


def set_quiet() -> None:
    """Write only results, warnings and errors from now on."""
    _output.quiet = True


def set_verbose() -> None:
    """Write what the library logs, too: the commands it runs and the requests it sends."""
    handler = logging.StreamHandler()
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
        click.echo(text, err=True, color=_output.colour)


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
    click.echo("\n".join(lines), err=True, color=_output.colour)


@contextlib.contextmanager
def reporting() -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows progress: a bar on a terminal, one line for each step in a log."""
    if _is_lively():
        with bar.bar(colour=_output.colour, notice=_notice) as report:
            yield report
        return
    say_step = _saying_changes()

    def report_line(progress: Progress) -> None:
        if progress.kind == "step":
            say_step(progress.text)
        else:
            _notice(progress)

    yield report_line


@contextlib.contextmanager
def counting_jobs() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows a text and how many of all jobs have ended: a bar on a terminal, or one line each."""
    if _is_lively():
        with bar.job_bar(colour=_output.colour) as show:
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


def _notice(progress: Progress) -> None:
    if progress.kind == "warning":
        warn(progress.text)
    else:
        say(progress.text)
