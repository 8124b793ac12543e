"""A progress bar with rate and remaining time, drawn by rich. Only imported when standard error is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

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
from rich.text import Text

from bundler.progress import Progress


class _Sized(ProgressColumn):
    """A column that is empty for steps without a size."""

    def __init__(self, column: ProgressColumn) -> None:
        self.column = column
        super().__init__()

    def render(self, task: Task) -> RenderableType:
        """Return the cell of `task`."""
        return self.column(task) if task.total else Text()


@contextlib.contextmanager
def bar(
    *, colour: bool | None, notice: Callable[[Progress], None]
) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that draws each step as a bar, which disappears at the end; `notice` writes all other lines."""
    console = _console(colour)
    sizes = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), *map(_Sized, sizes))
    with Bar(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=True
    ) as display:
        task = display.add_task("", total=None, visible=False)

        def report(progress: Progress) -> None:
            if progress.kind != "step":
                notice(progress)
                return
            if display.tasks[0].description != progress.text:
                display.reset(
                    task, description=progress.text, total=progress.total or None, visible=True
                )
            display.update(task, completed=progress.done, total=progress.total or None)

        yield report


@contextlib.contextmanager
def job_bar(*, colour: bool | None) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that draws a text and how many of all jobs have ended; the last state stays on the screen."""
    console = _console(colour)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    text = TextColumn("{task.description}", markup=False)
    with Bar(
        SpinnerColumn(),
        *columns,
        text,
        console=console,
        redirect_stdout=False,
        redirect_stderr=True,
    ) as display:
        task = display.add_task("", total=None)

        def show(description: str, done: int, total: int) -> None:
            display.update(task, description=description, completed=done, total=total)

        yield show


def _console(colour: bool | None) -> Console:
    # None leaves it to NO_COLOR.
    return Console(stderr=True, no_color=True if colour is False else None)
