"""The indexes of the sources of a bundle, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from bundler.sources.source import Source
from wheelhouse.credentials import Credentials, environment_indexes, find_credentials


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
    urls = [
        *(index["url"] for table in tables for index in filter(_is_common, table.get("index", []))),
        *(table["index-url"] for table in tables if "index-url" in table),
        *(url for table in tables for url in table.get("extra-index-url", [])),
        *environment_indexes(),
    ]
    return Indexes(
        credentials=find_credentials(tables, [text for source in sources for text in source.texts()]),
        urls=[url for url in dict.fromkeys(urls) if "://" in url],
        reserved=frozenset(canonicalize_name(name) for table in tables for name in table.get("sources", {})),
    )


def _is_common(index: Mapping[str, Any]) -> bool:
    return not index.get("explicit") and index.get("format") != "flat"
