"""The indexes of the sources of a bundle, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from wheelhouse.credentials import Credentials, environment_indexes, find_credentials
from wheelhouse.uv_settings import user_settings, working_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.sources.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """The indexes of the sources of a bundle.

    `variables` are environment variables that pass them to uv in builds. `urls` are the simple indexes that may be
    searched for a project, unless it is one of `reserved`: projects that a source assigns to a specific index.
    """

    variables: Mapping[str, str]
    credentials: Credentials = field(repr=False)
    urls: Sequence[str]
    reserved: frozenset[str]

    def elsewhere(self, project: str) -> Sequence[str]:
        """Return the indexes to search for `project`; none if it is reserved, since others must not learn its name."""
        return [] if project in self.reserved else self.urls


def read_indexes(sources: Sequence[Source]) -> Indexes:
    """Return the indexes of `sources`, of the current folder, of the user and of the environment variables."""
    project_tables = [*(source.uv_settings() for source in sources), working_settings()]
    tables = [*project_tables, user_settings()]
    urls = [
        *(index["url"] for table in tables for index in filter(_is_common, table.get("index", []))),
        *(table["index-url"] for table in tables if "index-url" in table),
        *(url for table in tables for url in table.get("extra-index-url", [])),
        *environment_indexes(),
    ]
    return Indexes(
        variables=_variables(project_tables),
        credentials=find_credentials(tables, [text for source in sources for text in source.texts()]),
        urls=[url for url in dict.fromkeys(urls) if "://" in url],
        reserved=frozenset(canonicalize_name(name) for table in tables for name in table.get("sources", {})),
    )


def _variables(tables: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    words: dict[str, list[str]] = {}
    for settings in tables:
        flat = [index["url"] for index in settings.get("index", []) if index.get("format") == "flat"]
        for index in filter(_is_common, settings.get("index", [])):
            named = f"{index['name']}={index['url']}" if index.get("name") else index["url"]
            words.setdefault("UV_DEFAULT_INDEX" if index.get("default") else "UV_INDEX", []).append(named)
        words.setdefault("UV_INDEX", []).extend(settings.get("extra-index-url", []))
        words.setdefault("UV_FIND_LINKS", []).extend([*settings.get("find-links", []), *flat])
        if "index-url" in settings:
            words.setdefault("UV_DEFAULT_INDEX", []).append(settings["index-url"])
    # uv accepts one default index and several others.
    between = {"UV_INDEX": " ", "UV_FIND_LINKS": ","}
    return {
        name: between[name].join(filter(None, [*values, os.environ.get(name)])) if name in between else values[0]
        for name, values in words.items()
        if values
    }


def _is_common(index: Mapping[str, Any]) -> bool:
    return not index.get("explicit") and index.get("format") != "flat"
