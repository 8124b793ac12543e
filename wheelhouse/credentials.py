"""User names and passwords of indexes, from the same sources as uv's; they are only used in requests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from wheelhouse import process

_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_WITH_USER = re.compile(r"(git\+)?(https?://[^\s/'\"@]+@[^\s'\",]+)")
# The syntax of pip and uv for environment variables in requirements files.
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# Seconds; a keyring may wait for a password from the user.
_PATIENCE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User and password by URL (without user), of `indexes` and of git `repositories`."""

    indexes: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    repositories: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    def values(self) -> set[str]:
        """Return all passwords."""
        return {password for _, password in (*self.indexes.values(), *self.repositories.values()) if password}

    def near(self, url: str) -> tuple[str, str] | None:
        """Return the credentials for a file at `url`: those of the index on its host with the longest common path."""
        server = urlsplit(url)[:2]
        here = [index for index in self.indexes if urlsplit(index)[:2] == server]
        return self.indexes[max(here, key=lambda index: _shared(index, url))] if here else None


def _shared(one: str, other: str) -> int:
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def split_user(url: str) -> tuple[str, str, str]:
    """Return `url` without user and password, and these."""
    try:
        parts = urlsplit(url)
    except ValueError:  # Malformed, which its user will report.
        return url, "", ""
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, unquote(parts.username or ""), unquote(parts.password or "")


def find_credentials(tables: Iterable[Mapping[str, Any]], texts: Iterable[str] = ()) -> Credentials:
    """Return the credentials of all indexes and repositories.

    They are in uv's environment variables, in `tables` such as a script's `[tool.uv]`, of which the first has
    precedence, and in `texts` with URLs. They are part of the URL or, for a named index, in UV_INDEX_<NAME>_USERNAME
    and _PASSWORD. If only the user is known and uv is configured to use the keyring, the password comes from there.
    """
    tables = list(tables)
    providers = (os.environ.get("UV_KEYRING_PROVIDER"), *(table.get("keyring-provider") for table in tables))
    asks_keyring = next(filter(None, providers), None) == "subprocess"
    expanded = [_VARIABLE.sub(lambda name: os.environ.get(name[1], name[0]), text) for text in texts]
    in_texts = [match for text in expanded for match in _WITH_USER.findall(text)]
    repositories = [url.partition("#")[0] for git, url in in_texts if git]
    repositories += [str(source["git"]) for table in tables for source in _sources(table) if source.get("git")]
    named = [*_of_environment(), *(pair for table in tables for pair in _of_table(table))]
    named += [("", url) for git, url in in_texts if not git]
    indexes: dict[str, tuple[str, str]] = {}
    for name, url in named:
        bare, user, password = split_user(url)
        variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
        if name:
            user, password = (
                os.environ.get(f"{variable}_USERNAME", user),
                os.environ.get(f"{variable}_PASSWORD", password),
            )
        if user and not password and asks_keyring:
            password = _of_keyring(bare, user)
        if user or password:
            indexes.setdefault(bare, (user, password))
    return Credentials(indexes=indexes, repositories=dict(_of_repository(url) for url in repositories))


def environment_indexes() -> list[str]:
    """Return the URLs of indexes in uv's environment variables."""
    return [url for _, url in _of_environment(_VARIABLES[:-1])]


def _of_environment(variables: Iterable[str] = _VARIABLES) -> Iterator[tuple[str, str]]:
    for variable in variables:
        # They are separated by white space.
        for word in os.environ.get(variable, "").split("," if variable == "UV_FIND_LINKS" else None):
            named = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", word)
            yield (named[1], named[2]) if named else ("", word)


def _of_table(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index in table.get("index", []):
        yield str(index.get("name", "")), str(index["url"])
    yield "", str(table.get("index-url", ""))
    yield from (("", str(url)) for key in ("extra-index-url", "find-links") for url in table.get(key, []))
    yield from (("", str(source.get("url", ""))) for source in _sources(table))


def _sources(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for source in table.get("sources", {}).values():
        yield from source if isinstance(source, list) else [source]


def _of_repository(url: str) -> tuple[str, tuple[str, str]]:
    bare, user, password = split_user(url)
    return re.sub(r"(?<!/)@.*", "", bare), (user, password)  # Without branch or commit.


def _of_keyring(url: str, user: str) -> str:
    """Return the keyring's password for the URL or else the host, like uv; "" if it has none."""
    for service in (url.partition("?")[0], urlsplit(url).netloc):
        if service.startswith("-") or user.startswith("-") or "\0" in service + user:
            continue  # It would be an option.
        try:
            code, out, _ = process.run(["keyring", "get", service, user], timeout=_PATIENCE)
        except OSError:
            return ""
        if code == 0 and out.strip():
            return out.strip("\r\n")
    return ""
