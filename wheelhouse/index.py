"""Pages of a simple index (PEP 503, 658, 714) as pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAGE = """<!DOCTYPE html>
<html>
  <head>
    <meta name="pypi:repository-version" content="1.0">
    <title>{title}</title>
  </head>
  <body>
{body}  </body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A file on a project page: `path` is relative to the page; digests are SHA-256 in hex.

    `metadata_sha256` means that the file's METADATA is available as `<path>.metadata`.
    """

    filename: str
    path: str
    sha256: str
    requires_python: str | None = None
    metadata_sha256: str | None = None


def project_page(project: str, links: Iterable[Link]) -> bytes:
    """Return the page of `project`, with its files sorted by name."""
    return _page(f"Links for {project}", (_anchor(link) for link in sorted(links, key=lambda link: link.filename)))


def root_page(projects: Iterable[str]) -> bytes:
    """Return the page that lists `projects`."""
    return _page("Simple index", (f'<a href="{quote(name)}/">{escape(name)}</a>' for name in sorted(projects)))


def _page(title: str, anchors: Iterable[str]) -> bytes:
    body = "".join(f"    {anchor}<br>\n" for anchor in anchors)
    return _PAGE.format(title=escape(title), body=body).encode()


def _anchor(link: Link) -> str:
    attributes = f'href="{escape(quote(link.path))}#sha256={link.sha256}"'
    if link.requires_python:
        attributes += f' data-requires-python="{escape(link.requires_python)}"'
    if link.metadata_sha256:
        # PEP 714: the current name, and the old one for clients between PEP 658 and 714.
        attributes += f' data-core-metadata="sha256={link.metadata_sha256}"'
        attributes += f' data-dist-info-metadata="sha256={link.metadata_sha256}"'
    return f"<a {attributes}>{escape(link.filename)}</a>"
