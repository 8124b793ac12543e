"""Markdown on a terminal, drawn by rich. Only imported when there is one."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown

_WIDEST = 100


def drawn(text: str) -> str:
    """Return the Markdown `text` as the terminal shows it, in at most 100 columns."""
    screen = Console(width=min(_WIDEST, Console().width))
    with screen.capture() as capture:
        screen.print(Markdown(text))
    return capture.get()
