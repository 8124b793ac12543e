"""Read pylock.toml (PEP 751), which contains data from indexes."""

from __future__ import annotations

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
    local = [
        f"{package.name}: its index {package.index} links to a file on this machine"
        for package in pylock.packages
        for url in [*(wheel.url for wheel in package.wheels or ()), package.sdist.url if package.sdist else None]
        if (package.index or "").startswith(("http:", "https:")) and (url or "").startswith("file:")
    ]
    if local:
        raise not_as_locked(subject, local)
    return pylock


def _check_places(value: object) -> None:
    """Raise `ValueError` for characters that are not valid in any path, or a malformed URL, anywhere in `value`."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{value!r} contains a null character")
        if "://" in value:
            urlsplit(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_places(item)
