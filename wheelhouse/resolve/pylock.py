"""Read pylock.toml (PEP 751), which contains data from indexes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from packaging.pylock import Pylock, PylockValidationError

from wheelhouse import toml
from wheelhouse.errors import not_as_locked


def parse(text: str, subject: str) -> Pylock:
    """Parse a pylock.toml, whose file names from an index may violate PEP 751. Raises `LockError`."""
    try:
        tables = toml.loads(text)
        _check_places(tables)
        pylock = Pylock.from_dict(tables)
    except (PylockValidationError, ValueError) as error:
        raise not_as_locked(subject, [str(error)]) from error
    local = list(_local_links(pylock))
    if local:
        raise not_as_locked(subject, local)
    return pylock


def _local_links(pylock: Pylock) -> Iterator[str]:
    """Yield what is wrong with each link of an index on the network to a file on this machine."""
    for package in pylock.packages:
        index = package.index or ""
        if not index.startswith(("http:", "https:")):
            continue
        urls = [wheel.url for wheel in package.wheels or ()]
        if package.sdist:
            urls.append(package.sdist.url)
        for url in urls:
            if url and url.startswith("file:"):
                yield f"{package.name}: its index {index} links to a file on this machine"


def _check_places(value: object) -> None:
    """Raise `ValueError` for characters that are not valid in any path, or a malformed URL, anywhere in `value`."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{value!r} contains a null character")
        if "://" in value:
            urlsplit(value)
    elif isinstance(value, dict):
        for item in value.values():
            _check_places(item)
    elif isinstance(value, list):
        for item in value:
            _check_places(item)
