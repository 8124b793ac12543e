"""The settings of uv that this library reads itself: those about package sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelhouse import files, toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Settings that are only valid in a pyproject.toml.
_OF_PROJECTS = (
    *("build-backend", "conflicts", "default-groups", "dependency-groups", "dev-dependencies", "environments"),
    *("managed", "package", "required-environments", "sources", "workspace"),
)


def faults_of(settings: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the types of the settings in `[tool.uv]` or a uv.toml that are read here.

    uv itself checks their values.
    """
    errors = [f"{key} must be {meaning}" for key, (fits, meaning) in _SHAPES.items() if not fits(settings.get(key))]
    return [f"tool.uv.{error}" for error in errors]


def absolute(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return `settings` with absolute paths instead of paths relative to `folder`."""
    result = dict(settings)
    if "index-url" in result:
        result["index-url"] = _absolute(result["index-url"], folder)
    for key in {"find-links", "extra-index-url"} & set(result):
        result[key] = [_absolute(path, folder) for path in result[key]]
    if "index" in result:
        result["index"] = [{**index, "url": _absolute(index["url"], folder)} for index in result["index"]]
    if "sources" in result:
        result["sources"] = {
            name: [_absolute_source(path, folder) for path in source]
            if isinstance(source, list)
            else _absolute_source(source, folder)
            for name, source in result["sources"].items()
        }
    return result


def _absolute(location: str, folder: Path) -> str:
    return location if "://" in location else str(folder / location)


def _absolute_source(source: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {**source, "path": str(folder / source["path"])} if "path" in source else source


def combined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return both settings combined like uv does: lists are concatenated, other values of `first` win."""
    both = {
        key: [*first[key], *second[key]]
        for key in first.keys() & second.keys()
        if isinstance(first[key], list) and isinstance(second[key], list)
    }
    return {**second, **first, **both}


def outside_of_projects(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `settings` that are valid in a uv.toml."""
    return {key: value for key, value in settings.items() if key not in _OF_PROJECTS}


def working_settings(here: Path | None = None) -> dict[str, Any]:
    """Return the settings that uv reads in the folder `here` (default: the current one) or its nearest parent with any.

    They are in a uv.toml, or in `[tool.uv]` of a project.
    """
    if os.environ.get("UV_NO_CONFIG") or os.environ.get("UV_CONFIG_FILE"):
        return {}
    here = here or Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "uv.toml").is_file():
            return absolute(_read(folder / "uv.toml"), folder)
        if (folder / "pyproject.toml").is_file():
            tool = _read(folder / "pyproject.toml", ("tool", "uv"))
            if tool:
                return absolute(tool, folder)
    return {}


def user_settings() -> dict[str, Any]:
    """Return the user's uv.toml, or the one that UV_CONFIG_FILE names; no tables if there is none."""
    if os.environ.get("UV_NO_CONFIG"):
        return {}
    home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    # Path.home() fails for a user that the system does not know, as in a container.
    home = home or os.path.expanduser("~/.config")  # noqa: PTH111 - see above
    path = Path(os.environ.get("UV_CONFIG_FILE") or Path(home) / "uv" / "uv.toml")
    return absolute(_read(path), path.parent) if path.is_file() else {}


def system_settings() -> dict[str, Any]:
    """Return the system's uv.toml; no tables if there is none or it is disabled."""
    if os.environ.get("UV_NO_CONFIG") or os.environ.get("UV_CONFIG_FILE"):
        return {}
    if os.name == "nt":
        folders = [os.environ.get("PROGRAMDATA") or "C:\\ProgramData"]
    else:
        folders = [*(os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep), "/etc"]
    path = next((path for parent in folders if (path := Path(parent, "uv", "uv.toml")).is_file()), None)
    return absolute(_read(path), path.parent) if path else {}


def _read(path: Path, below: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a table of a file; no tables if it is invalid, which uv reports itself."""
    with files.explained(path):
        text = files.read_input(path).decode(errors="replace")
    try:
        tables: Any = toml.loads(text)
        for key in below:
            tables = tables.get(key, {})
        return {} if faults_of(tables) else dict(tables)
    except (ValueError, AttributeError):
        return {}


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_list(value: object) -> bool:
    return value is None or isinstance(value, list)


def _are_texts(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _are_indexes(value: object) -> bool:
    return value is None or (
        isinstance(value, list)
        and all(
            isinstance(index, dict) and isinstance(index.get("url"), str) and _is_text(index.get("name"))
            for index in value
        )
    )


def _are_sources(value: object) -> bool:
    if value is None or not isinstance(value, dict):
        return value is None
    tables = [table for source in value.values() for table in (source if isinstance(source, list) else [source])]
    return all(
        isinstance(table, dict) and all(_is_text(table.get(key)) for key in ("git", "url", "path", "index"))
        for table in tables
    )


_SHAPES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "index": (_are_indexes, "a list of tables with a url"),
    "index-url": (_is_text, "a string"),
    "extra-index-url": (_are_texts, "a list of strings"),
    "find-links": (_are_texts, "a list of strings"),
    "constraint-dependencies": (_is_list, "a list"),
    "override-dependencies": (_is_list, "a list"),
    "keyring-provider": (_is_text, "a string"),
    "sources": (_are_sources, "a table of tables"),
}
