"""What this tool reads of uv's settings itself: where packages come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelhouse import files, toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What only a pyproject.toml may hold.
_OF_PROJECTS = (
    *("build-backend", "conflicts", "default-groups", "dependency-groups", "dev-dependencies", "environments"),
    *("managed", "package", "required-environments", "sources", "workspace"),
)


def faults_of(settings: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the shape of those settings, as `[tool.uv]` or a uv.toml has them, that are read here.

    Whether they mean anything is for uv to say.
    """
    faults = [f"{key} is not {meaning}" for key, (fits, meaning) in _SHAPES.items() if not fits(settings.get(key))]
    return [f"tool.uv.{fault}" for fault in faults]


def absolute(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return `settings` with the paths in them, which are relative to `folder`, made absolute."""
    found = dict(settings)
    if "index-url" in found:
        found["index-url"] = _absolute(found["index-url"], folder)
    for key in {"find-links", "extra-index-url"} & set(found):
        found[key] = [_absolute(each, folder) for each in found[key]]
    if "index" in found:
        found["index"] = [{**index, "url": _absolute(index["url"], folder)} for index in found["index"]]
    if "sources" in found:
        found["sources"] = {
            name: [_absolute_source(each, folder) for each in source]
            if isinstance(source, list)
            else _absolute_source(source, folder)
            for name, source in found["sources"].items()
        }
    return found


def _absolute(location: str, folder: Path) -> str:
    return location if "://" in location else str(folder / location)


def _absolute_source(source: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {**source, "path": str(folder / source["path"])} if "path" in source else source


def combined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of both as uv combines them: lists one after the other, of all else what is in `first`."""
    both = {
        key: [*first[key], *second[key]]
        for key in first.keys() & second.keys()
        if isinstance(first[key], list) and isinstance(second[key], list)
    }
    return {**second, **first, **both}


def outside_of_projects(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `settings` that a uv.toml may hold."""
    return {key: value for key, value in settings.items() if key not in _OF_PROJECTS}


def working_settings(here: Path | None = None) -> dict[str, Any]:
    """Return what uv reads in the folder `here`, the working folder if None, or the nearest one above that has any.

    That is a uv.toml, or `[tool.uv]` of a project.
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
    """Return the tables of the user's own uv.toml, or the one that UV_CONFIG_FILE names; none where there is none."""
    if os.environ.get("UV_NO_CONFIG"):
        return {}
    home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    # Path.home() fails for a user that the system does not know, as in a container.
    home = home or os.path.expanduser("~/.config")  # noqa: PTH111 - see above
    path = Path(os.environ.get("UV_CONFIG_FILE") or Path(home) / "uv" / "uv.toml")
    return absolute(_read(path), path.parent) if path.is_file() else {}


def system_settings() -> dict[str, Any]:
    """Return the tables of the system's uv.toml; none where there is none or it does not count."""
    if os.environ.get("UV_NO_CONFIG") or os.environ.get("UV_CONFIG_FILE"):
        return {}
    if os.name == "nt":
        folders = [os.environ.get("PROGRAMDATA") or "C:\\ProgramData"]
    else:
        folders = [*(os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep), "/etc"]
    path = next((path for each in folders if (path := Path(each, "uv", "uv.toml")).is_file()), None)
    return absolute(_read(path), path.parent) if path else {}


def _read(path: Path, below: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a table of a file, none where it is broken: uv says so itself."""
    with files.explained(path):
        text = files.read_input(path).decode(errors="replace")
    try:
        found: Any = toml.loads(text)
        for key in below:
            found = found.get(key, {})
        return {} if faults_of(found) else dict(found)
    except (ValueError, AttributeError):
        return {}


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
