"""The indexes of the sources of a bundle, read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from bundler.sources.source import Source
from wheelhouse.fetch.credentials import Credentials, environment_indexes, find_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """The indexes of the sources of a bundle.

    `urls` are the simple indexes that may be searched for a project, unless it is one of `reserved`: projects that a
    source assigns to a specific index.
    """

    credentials: Credentials = field(repr=False)
    urls: Sequence[str]
    reserved: frozenset[str]

    def elsewhere(self, project: str) -> Sequence[str]:
        """Return the indexes to search for `project`; none if it is reserved, since others must not learn its name."""
        return [] if project in self.reserved else self.urls


def read_indexes(sources: Sequence[Source]) -> Indexes:
    """Return the indexes of `sources`, of what is around them, of the user and of the environment variables."""
    tables = [source.effective_settings() for source in sources]
    texts = [text for source in sources for text in source.texts()]
    reserved = {
        str(canonicalize_name(name)) for table in tables for name in table.get("sources", {})
    }
    urls = _urls(tables)
    return Indexes(
        credentials=find_credentials(tables, texts),
        urls=[url for url in dict.fromkeys(urls) if "://" in url],
        reserved=frozenset(reserved),
    )


def _urls(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the URLs of the indexes in `tables` of settings and in the environment variables, in uv's order."""
    named: list[str] = []
    default: list[str] = []
    extra: list[str] = []
    for table in tables:
        for index in table.get("index", []):
            if not index.get("explicit") and index.get("format") != "flat":
                named.append(index["url"])
        if "index-url" in table:
            default.append(table["index-url"])
        extra += table.get("extra-index-url", [])
    return [*named, *default, *extra, *environment_indexes()]
