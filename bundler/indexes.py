"""The indexes of scripts: as builds are told of them, and who may read them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from bundler.inputs import PIP_TOOLS
from wheelhouse import files, pip_tools
from wheelhouse.credentials import environment_indexes, index_credentials
from wheelhouse.uv_settings import user_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.script import Script


def variables(scripts: Sequence[Script]) -> dict[str, str]:
    """Return the variables that tell uv of the indexes of `scripts`, beside those that the environment has."""
    words: dict[str, list[str]] = {}
    for script in scripts:
        settings = script.project().get("tool", {}).get("uv", {})
        for index in settings.get("index", []):
            named = f"{index['name']}={index['url']}" if index.get("name") else index["url"]
            words.setdefault("UV_DEFAULT_INDEX" if index.get("default") else "UV_INDEX", []).append(named)
        words.setdefault("UV_INDEX", []).extend(settings.get("extra-index-url", []))
        words.setdefault("UV_FIND_LINKS", []).extend(settings.get("find-links", []))
        if "index-url" in settings:
            words.setdefault("UV_DEFAULT_INDEX", []).append(settings["index-url"])
    # uv takes one default, and several of the others, with spaces between them.
    return {
        name: (values[0] if name == "UV_DEFAULT_INDEX" else " ".join([*values, os.environ.get(name, "")]).strip())
        for name, values in words.items()
        if values
    }


def elsewhere(scripts: Sequence[Script]) -> Callable[[str], list[str]]:
    """Return what gives the indexes in which a project may be looked for, as simple indexes.

    That is none for a project that a script takes from an index of its choice: others need not know that it exists.
    """
    tables = [*(script.project().get("tool", {}).get("uv", {}) for script in scripts), user_settings()]
    found = [
        *(index["url"] for table in tables for index in table.get("index", []) if _is_common(index)),
        *(table["index-url"] for table in tables if "index-url" in table),
        *(url for table in tables for url in table.get("extra-index-url", [])),
        *environment_indexes(),
    ]
    reserved = {canonicalize_name(name) for table in tables for name in table.get("sources", {})}
    urls = [url for url in dict.fromkeys(found) if "://" in url]
    return lambda project: [] if project in reserved else urls


def _is_common(index: Mapping[str, Any]) -> bool:
    return not index.get("explicit") and index.get("format") != "flat"


def credentials(scripts: Sequence[Script]) -> dict[str, tuple[str, str]]:
    """Return user and password by host for whatever `scripts` come from; see `index_credentials`."""
    tables: list[Mapping[str, Any]] = [user_settings()]
    texts: list[str] = []
    for script in scripts:
        tables.append(script.metadata.get("tool", {}).get("uv", {}))
        texts += script.dependencies
        if script.kind == "requirements" and script.source is not None:
            with files.explained(script.source):
                texts.append(script.source.read_text(encoding="utf-8", errors="replace"))
        if PIP_TOOLS in script.resolved_with:
            texts.append(pip_tools.settings())
    return index_credentials(tables, texts)
