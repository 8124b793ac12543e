"""Elements of a page. Arguments called `html` and cells are HTML already; all others are text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

_WEB = re.compile(r"https?://[^\s\"'<>]+")


def section(title: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{escape(title)}</h2>"


def paragraph(html: str, kind: str = "") -> str:
    """Return a paragraph of the class `kind`."""
    if kind:
        return f'<p class="{kind}">{html}</p>'
    return f"<p>{html}</p>"


def mark(kind: str, text: str) -> str:
    """Return `text` marked as good, bad or warn."""
    return f'<span class="{kind}">{escape(text)}</span>'


def link(url: str, text: str) -> str:
    """Return a link to a web page; the text alone if `url` is something else."""
    if not _WEB.fullmatch(url):
        return escape(text)
    return f'<a href="{escape(url)}" rel="noreferrer">{escape(text)}</a>'


def details(facts: Mapping[str, str]) -> str:
    """Return a list of names with their descriptions, which are HTML."""
    items = [f"<dt>{escape(name)}</dt><dd>{html}</dd>" for name, html in facts.items()]
    return f"<dl>{''.join(items)}</dl>"


def table(
    caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str] = ()
) -> str:
    """Return a table; the first cell of each row is its heading, and `names` are the targets of links to rows."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    lines = []
    for number, (first, *rest) in enumerate(rows):
        name = ""
        if names and names[number]:
            name = f' id="{escape(names[number])}"'
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        lines.append(f'<tr{name}><th scope="row">{first}</th>{cells}</tr>')
    body = "\n".join(lines)
    label = escape(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption>{label}</caption><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
