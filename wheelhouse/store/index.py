"""Pages of a simple index as pure functions: HTML (PEP 503, 592, 658, 714) and JSON (PEP 691, 700, 792)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from wheelhouse.wheel import parse_filename

_META = {"api-version": "1.4"}
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

    `metadata_sha256` means that the file's METADATA is available as `<path>.metadata`. `size` is in bytes,
    `uploaded` the time in the form of PEP 700, and `yanked` the reason, possibly empty, if the file is yanked.
    """

    filename: str
    path: str
    sha256: str
    requires_python: str | None = None
    metadata_sha256: str | None = None
    size: int = 0
    uploaded: str | None = None
    yanked: str | None = None


def project_page(project: str, links: Iterable[Link]) -> bytes:
    """Return the page of `project`, with its files sorted by name."""
    ordered = sorted(links, key=lambda link: link.filename)
    return _page(f"Links for {project}", map(_anchor, ordered))


def root_page(projects: Iterable[str]) -> bytes:
    """Return the page that lists `projects`."""
    anchors = [f'<a href="{quote(name)}/">{escape(name)}</a>' for name in sorted(projects)]
    return _page("Simple index", anchors)


def project_json(project: str, links: Iterable[Link]) -> bytes:
    """Return the page of `project` as JSON, with its files sorted by name."""
    ordered = sorted(links, key=lambda link: link.filename)
    versions = {parse_filename(link.filename)[1] for link in ordered}
    return _json(
        {
            "meta": _META,
            "name": project,
            "project-status": {"status": "active"},
            "versions": [str(version) for version in sorted(versions)],
            "files": [_file(link) for link in ordered],
        }
    )


def root_json(projects: Iterable[str]) -> bytes:
    """Return the page that lists `projects` as JSON."""
    return _json(
        {
            "meta": _META,
            "projects": [{"name": name} for name in sorted(projects)],
        }
    )


def _file(link: Link) -> dict[str, Any]:
    metadata = {"sha256": link.metadata_sha256} if link.metadata_sha256 else False
    values = {
        "filename": link.filename,
        "url": quote(link.path),
        "hashes": {"sha256": link.sha256},
        "requires-python": link.requires_python or None,
        "core-metadata": metadata,
        "dist-info-metadata": metadata,
        "size": link.size,
        "upload-time": link.uploaded or None,
        # PEP 592: a reason may be empty, but the file is yanked.
        "yanked": False if link.yanked is None else link.yanked or True,
    }
    return {key: value for key, value in values.items() if value is not None}


def _json(page: dict[str, Any]) -> bytes:
    text = json.dumps(page, separators=(",", ":"))
    return f"{text}\n".encode()


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
    if link.yanked is not None:
        attributes += f' data-yanked="{escape(link.yanked)}"'
    return f"<a {attributes}>{escape(link.filename)}</a>"
