"""Reading pylock.toml (PEP 751), which is made of what indexes say."""

from __future__ import annotations

from urllib.parse import urlsplit

from packaging.pylock import Pylock, PylockValidationError

from wheelhouse import toml
from wheelhouse.errors import not_as_locked


def parse(text: str, subject: str) -> Pylock:
    """Parse a pylock.toml; what an index calls its files may break the rules of PEP 751. Raises `LockError`."""
    try:
        tables = toml.loads(text)
        _check_places(tables)
        pylock = Pylock.from_dict(tables)
    except (PylockValidationError, ValueError) as fault:
        raise not_as_locked(subject, [str(fault)]) from fault
    local = [
        f"{package.name}: its index {package.index} names a file of this machine"
        for package in pylock.packages
        for url in [*(wheel.url for wheel in package.wheels or ()), package.sdist.url if package.sdist else None]
        if (package.index or "").startswith(("http:", "https:")) and (url or "").startswith("file:")
    ]
    if local:
        raise not_as_locked(subject, local)
    return pylock


def _check_places(value: object) -> None:
    """Raise `ValueError` for what no system takes in a path, and for a URL that is none, anywhere in `value`."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{value!r} holds a null character")
        if "://" in value:
            urlsplit(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_places(each)
