"""User names and passwords of package indexes, from where uv takes them; they go into requests and nowhere else."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")


def index_credentials(settings: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return user and password by host (with its port, as in a URL), for every index that has them.

    Indexes are those of uv's environment variables and of `settings`, tables such as a script's `[tool.uv]`. Their
    credentials stand in their URLs or, for an index with a name, in UV_INDEX_<NAME>_USERNAME and _PASSWORD.
    """
    found = {}
    for name, url in [*_of_environment(), *(pair for table in settings for pair in _of_settings(table))]:
        parts = urlsplit(url)
        variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
        user = os.environ.get(f"{variable}_USERNAME") if name else None
        password = os.environ.get(f"{variable}_PASSWORD") if name else None
        user, password = user or unquote(parts.username or ""), password or unquote(parts.password or "")
        if user or password:
            found[parts.netloc.rpartition("@")[2]] = (user, password)
    return found


def _of_environment() -> Iterator[tuple[str, str]]:
    for variable in _VARIABLES:
        for word in os.environ.get(variable, "").split():
            named = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", word)
            yield (named[1], named[2]) if named else ("", word)


def _of_settings(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index in table.get("index", []):
        yield str(index.get("name", "")), str(index["url"])
    yield "", str(table.get("index-url", ""))
    yield from (("", str(url)) for url in table.get("extra-index-url", []))
