"""A progress bar with rate and remaining time, drawn by rich. Only imported when standard error is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress as Bar,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from bundler.progress import Progress

# Columns of a terminal on which everything is drawn.
_WIDE = 80


class _Sized(ProgressColumn):
    """A column that is empty for steps without a size."""

    def __init__(self, column: ProgressColumn) -> None:
        self.column = column
        super().__init__(table_column=column.get_table_column())

    def render(self, task: Task) -> RenderableType:
        """Return the cell of `task`."""
        return self.column(task) if task.total else Text()


def drawing_console(*, colour: bool | None) -> Console:
    """Return a console on standard error; without a `colour`, NO_COLOR decides."""
    return Console(stderr=True, no_color=True if colour is False else None)


def write_line(console: Console, text: str) -> None:
    """Write `text`, which may have colours, above what is drawn on `console`."""
    console.print(Text.from_ansi(text), soft_wrap=True, highlight=False)


@contextlib.contextmanager
def bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that draws each step as a bar on `console`, which disappears at the end."""
    sizes: list[ProgressColumn] = [_column(BarColumn), _column(DownloadColumn)]
    if console.width >= _WIDE:
        sizes += [_column(TransferSpeedColumn), _column(TimeRemainingColumn, compact=True)]
    columns = (_column(SpinnerColumn), _description(), *map(_Sized, sizes))
    with Bar(*columns, console=console, transient=True, redirect_stdout=False) as display:
        task = display.add_task("", total=None, visible=False)

        def report(progress: Progress) -> None:
            if display.tasks[0].description != progress.text:
                display.reset(
                    task, description=progress.text, total=progress.total or None, visible=True
                )
            display.update(task, completed=progress.done, total=progress.total or None)

        yield report


@contextlib.contextmanager
def job_bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that draws a text and how many of all jobs have ended; the last state stays on `console`."""
    columns = [_column(SpinnerColumn), _column(MofNCompleteColumn), _description()]
    if console.width >= _WIDE:
        columns[1:1] = [_column(BarColumn), _column(TimeRemainingColumn, compact=True)]
    with Bar(*columns, console=console, redirect_stdout=False) as display:
        task = display.add_task("", total=None)

        def show(description: str, done: int, total: int) -> None:
            display.update(task, description=description, completed=done, total=total)

        yield show


def _column(kind: Callable[..., ProgressColumn], **options: Any) -> ProgressColumn:
    """Return a column that never needs a second line, on which the rest of the screen would not count."""
    return kind(table_column=Column(no_wrap=True), **options)


def _description() -> ProgressColumn:
    """Return the column of what is done, which is cut if the terminal is too narrow."""
    column = Column(no_wrap=True, overflow="ellipsis")
    return TextColumn("{task.description}", markup=False, table_column=column)
