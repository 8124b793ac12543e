"""User names and passwords of indexes, from the same sources as uv's; they are only used in requests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from wheelhouse import process

# Where uv takes indexes from; the URLs are separated by white space.
_OF_INDEXES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
)
_WITH_USER = re.compile(r"(git\+)?(https?://[^\s/'\"@]+@[^\s'\",]+)")
# The syntax of pip and uv for environment variables in requirements files.
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# Seconds; a keyring may wait for a password from the user.
_PATIENCE = 30
# A user, or "", and a password, or "".
_Account = tuple[str, str]
# The name of an index, or "", and its URL.
_Named = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User and password by URL (without user), of `indexes` and of git `repositories`."""

    indexes: Mapping[str, _Account] = field(default_factory=dict, repr=False)
    repositories: Mapping[str, _Account] = field(default_factory=dict, repr=False)

    def values(self) -> set[str]:
        """Return all passwords."""
        accounts = (*self.indexes.values(), *self.repositories.values())
        return {password for _, password in accounts if password}

    def near(self, url: str) -> _Account | None:
        """Return the credentials for a file at `url`: those of the index on its host with the longest common path."""
        server = urlsplit(url)[:2]
        nearest = None
        longest = -1
        for index, account in self.indexes.items():
            if urlsplit(index)[:2] != server:
                continue
            length = _common_length(index, url)
            if length > longest:
                nearest = account
                longest = length
        return nearest


def _common_length(one: str, other: str) -> int:
    """Return the number of parts between slashes with which both URLs begin."""
    length = 0
    for here, there in zip(one.split("/"), other.split("/"), strict=False):
        if here != there:
            break
        length += 1
    return length


def split_user(url: str) -> tuple[str, str, str]:
    """Return `url` without user and password, and these."""
    try:
        parts = urlsplit(url)
    except ValueError:  # Malformed, which its user will report.
        return url, "", ""
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(parts._replace(netloc=host))
    return bare, unquote(parts.username or ""), unquote(parts.password or "")


def find_credentials(tables: Iterable[Mapping[str, Any]], texts: Iterable[str] = ()) -> Credentials:
    """Return the credentials of all indexes and repositories.

    They are in uv's environment variables, in `tables` such as a script's `[tool.uv]`, of which the first has
    precedence, and in `texts` with URLs. They are part of the URL or, for a named index, in UV_INDEX_<NAME>_USERNAME
    and _PASSWORD. If only the user is known and uv is configured to use the keyring, the password comes from there.
    """
    in_texts: list[_Named] = []
    repositories: list[str] = []
    for text in texts:
        expanded = _VARIABLE.sub(_value, text)
        for git, url in _WITH_USER.findall(expanded):
            if git:
                repositories.append(url.partition("#")[0])
            else:
                in_texts.append(("", url))
    named = [*_of_environment(), *_of_find_links()]
    provider = os.environ.get("UV_KEYRING_PROVIDER")
    for table in tables:
        named += _of_table(table)
        repositories += [str(source["git"]) for source in _sources(table) if source.get("git")]
        provider = provider or table.get("keyring-provider")
    return Credentials(
        indexes=_accounts([*named, *in_texts], asks_keyring=provider == "subprocess"),
        repositories=dict(map(_of_repository, repositories)),
    )


def _value(variable: re.Match[str]) -> str:
    """Return the value of an environment variable, or the reference to it if it is not set."""
    return os.environ.get(variable[1], variable[0])


def _accounts(named: Iterable[_Named], *, asks_keyring: bool) -> dict[str, _Account]:
    """Return user and password by URL for indexes, given as name and URL; the first one for a URL counts."""
    accounts: dict[str, _Account] = {}
    for name, url in named:
        bare, user, password = split_user(url)
        if name:
            variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
            user = os.environ.get(f"{variable}_USERNAME", user)
            password = os.environ.get(f"{variable}_PASSWORD", password)
        if user and not password and asks_keyring:
            password = _of_keyring(bare, user)
        if user or password:
            accounts.setdefault(bare, (user, password))
    return accounts


def environment_indexes() -> list[str]:
    """Return the URLs of indexes in uv's environment variables."""
    return [url for _, url in _of_environment()]


def _of_environment() -> Iterator[_Named]:
    """Yield the name, or "", and the URL of each index in uv's environment variables."""
    for variable in _OF_INDEXES:
        words = os.environ.get(variable, "").split()
        yield from map(_named, words)


def _of_find_links() -> Iterator[_Named]:
    """Yield the places of files in uv's environment variable, like indexes."""
    places = os.environ.get("UV_FIND_LINKS", "").split(",")
    yield from map(_named, places)


def _named(word: str) -> _Named:
    """Return the name, or "", and the URL in `word`, such as `name=https://...`."""
    named = re.fullmatch(r"([A-Za-z0-9._-]+)=(.+)", word)
    if named:
        return named[1], named[2]
    return "", word


def _of_table(table: Mapping[str, Any]) -> Iterator[_Named]:
    """Yield the name, or "", and the URL of each index in the settings `table`."""
    for index in table.get("index", []):
        yield str(index.get("name", "")), str(index["url"])
    yield "", str(table.get("index-url", ""))
    for key in ("extra-index-url", "find-links"):
        for url in table.get(key, []):
            yield "", str(url)
    for source in _sources(table):
        yield "", str(source.get("url", ""))


def _sources(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for source in table.get("sources", {}).values():
        if isinstance(source, list):
            yield from source
        else:
            yield source


def _of_repository(url: str) -> tuple[str, _Account]:
    """Return the URL of a repository without user, branch and commit; and its user and password."""
    bare, user, password = split_user(url)
    return re.sub(r"(?<!/)@.*", "", bare), (user, password)


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
