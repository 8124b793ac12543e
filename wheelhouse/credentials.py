"""User names and passwords of package indexes, from where uv takes them; they go into requests and nowhere else."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from wheelhouse import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_WITH_USER = re.compile(r"https?://[^\s/'\"@]+@[^\s'\"]+")


def index_credentials(tables: Iterable[Mapping[str, Any]], texts: Iterable[str] = ()) -> dict[str, tuple[str, str]]:
    """Return user and password by host (with its port, as in a URL), for every index or source that has them.

    Indexes are those of uv's environment variables and of `tables`, such as a script's `[tool.uv]`. Their credentials
    stand in their URLs or, for an index with a name, in UV_INDEX_<NAME>_USERNAME and _PASSWORD; where only the user is
    known and uv is set to ask the keyring, the keyring has the password. `texts` are others that may hold such URLs.
    """
    tables = list(tables)
    asks_keyring = "subprocess" in (os.environ.get("UV_KEYRING_PROVIDER"), *(t.get("keyring-provider") for t in tables))
    named = [*_of_environment(), *(pair for table in tables for pair in _of_table(table))]
    found = {}
    for name, url in [*(("", url) for text in texts for url in _WITH_USER.findall(text)), *named]:
        parts = urlsplit(url)
        variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
        user = os.environ.get(f"{variable}_USERNAME") if name else None
        password = os.environ.get(f"{variable}_PASSWORD") if name else None
        user, password = user or unquote(parts.username or ""), password or unquote(parts.password or "")
        host = parts.netloc.rpartition("@")[2]
        if user and not password and asks_keyring:
            password = _of_keyring(url.replace(f"{parts.netloc.rpartition('@')[0]}@", ""), host, user)
        if user or password:
            found[host] = (user, password)
    return found


def environment_indexes() -> list[str]:
    """Return the URLs of the indexes that uv's environment variables name."""
    return [url for _, url in _of_environment()]


def _of_environment() -> Iterator[tuple[str, str]]:
    for variable in _VARIABLES:
        for word in os.environ.get(variable, "").split():
            named = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", word)
            yield (named[1], named[2]) if named else ("", word)


def _of_table(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index in table.get("index", []):
        yield str(index.get("name", "")), str(index["url"])
    yield "", str(table.get("index-url", ""))
    yield from (("", str(url)) for url in table.get("extra-index-url", []))
    for source in table.get("sources", {}).values():
        for each in source if isinstance(source, list) else [source]:
            yield "", str(each.get("git") or each.get("url") or "")


def _of_keyring(url: str, host: str, user: str) -> str:
    """Return what the program `keyring` has for the URL, else for the host, as uv asks it; "" where it has nothing."""
    for service in (url, host):
        try:
            code, out, _ = process.run(["keyring", "get", service, user])
        except OSError:
            return ""
        if code == 0 and out.strip():
            return out.strip("\r\n")
    return ""
