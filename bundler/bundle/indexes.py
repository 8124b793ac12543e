"""The indexes of sources: as builds are told of them, and who may read them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from wheelhouse.credentials import Credentials, environment_indexes, find_credentials
from wheelhouse.uv_settings import user_settings, working_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.sources.source import Source


def variables(sources: Sequence[Source]) -> dict[str, str]:
    """Return the variables that tell uv of the indexes of `sources`, beside those that the environment has."""
    words: dict[str, list[str]] = {}
    for settings in _tables(sources):
        flat = [index["url"] for index in settings.get("index", []) if index.get("format") == "flat"]
        for index in filter(_is_common, settings.get("index", [])):
            named = f"{index['name']}={index['url']}" if index.get("name") else index["url"]
            words.setdefault("UV_DEFAULT_INDEX" if index.get("default") else "UV_INDEX", []).append(named)
        words.setdefault("UV_INDEX", []).extend(settings.get("extra-index-url", []))
        words.setdefault("UV_FIND_LINKS", []).extend([*settings.get("find-links", []), *flat])
        if "index-url" in settings:
            words.setdefault("UV_DEFAULT_INDEX", []).append(settings["index-url"])
    # uv takes one default, and several of the others.
    between = {"UV_INDEX": " ", "UV_FIND_LINKS": ","}
    return {
        name: between[name].join(filter(None, [*values, os.environ.get(name)])) if name in between else values[0]
        for name, values in words.items()
        if values
    }


def elsewhere(sources: Sequence[Source]) -> Callable[[str], list[str]]:
    """Return what gives the indexes in which a project may be looked for, as simple indexes.

    That is none for a project that a source takes from an index of its choice: others need not know that it exists.
    """
    tables = [*_tables(sources), user_settings()]
    found = [
        *(index["url"] for table in tables for index in filter(_is_common, table.get("index", []))),
        *(table["index-url"] for table in tables if "index-url" in table),
        *(url for table in tables for url in table.get("extra-index-url", [])),
        *environment_indexes(),
    ]
    reserved = {canonicalize_name(name) for table in tables for name in table.get("sources", {})}
    urls = [url for url in dict.fromkeys(found) if "://" in url]
    return lambda project: [] if project in reserved else urls


def credentials(sources: Sequence[Source]) -> Credentials:
    """Return user and password of whatever `sources` come from."""
    texts = [text for source in sources for text in source.texts()]
    return find_credentials([*_tables(sources), user_settings()], texts)


def _tables(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Return the settings of uv that hold for `sources`, beside those of the user."""
    return [*(source.uv_settings() for source in sources), working_settings()]


def _is_common(index: Mapping[str, Any]) -> bool:
    return not index.get("explicit") and index.get("format") != "flat"
