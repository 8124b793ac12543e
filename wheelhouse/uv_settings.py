"""What this tool reads of uv's settings itself: where packages come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelhouse import files, toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def faults_of(settings: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the shape of those settings, as `[tool.uv]` or a uv.toml has them, that are read here.

    Whether they mean anything is for uv to say.
    """
    faults = [f"{key} is not {meaning}" for key, (fits, meaning) in _SHAPES.items() if not fits(settings.get(key))]
    return [f"tool.uv.{fault}" for fault in faults]


def user_settings() -> dict[str, Any]:
    """Return the tables of the user's own uv.toml, or the one that UV_CONFIG_FILE names; none where there is none."""
    if os.environ.get("UV_NO_CONFIG"):
        return {}
    home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    # Path.home() fails for a user that the system does not know, as in a container.
    home = home or os.path.expanduser("~/.config")  # noqa: PTH111 - see above
    path = Path(os.environ.get("UV_CONFIG_FILE") or Path(home) / "uv" / "uv.toml")
    if not path.is_file():
        return {}
    with files.explained(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        found = toml.loads(text)
    except ValueError:
        return {}  # uv says so itself
    return {} if faults_of(found) else found


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_list(value: object) -> bool:
    return value is None or isinstance(value, list)


def _are_texts(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _are_indexes(value: object) -> bool:
    return value is None or (
        isinstance(value, list)
        and all(
            isinstance(each, dict) and isinstance(each.get("url"), str) and _is_text(each.get("name")) for each in value
        )
    )


def _are_sources(value: object) -> bool:
    if value is None or not isinstance(value, dict):
        return value is None
    tables = [each for source in value.values() for each in (source if isinstance(source, list) else [source])]
    return all(
        isinstance(each, dict) and all(_is_text(each.get(key)) for key in ("git", "url", "path", "index"))
        for each in tables
    )


_SHAPES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "index": (_are_indexes, "a list of tables with a url"),
    "index-url": (_is_text, "a text"),
    "extra-index-url": (_are_texts, "a list of texts"),
    "find-links": (_are_texts, "a list of texts"),
    "constraint-dependencies": (_is_list, "a list"),
    "override-dependencies": (_is_list, "a list"),
    "keyring-provider": (_is_text, "a text"),
    "sources": (_are_sources, "a table of tables"),
}
