"""The settings of uv that count for an input: the one account of them for every call of uv.

uv reads settings from the script itself, from the project or uv.toml around it, from the uv.toml of the user and of
the system, and from environment variables. Which of them count depends on the command: `uv run --script` ignores, for
example, the constraints of a project around a script, which `uv export` of a project would apply. So uv is never left
to find settings here: `effective` combines those that count for `uv run --script`, `write_config` writes them to a file
for UV_CONFIG_FILE, and `variables` keeps the environment variables that count. The tests compare all this with uv.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wheelhouse import files, toml
from wheelhouse.errors import WheelhouseError

# Settings that only count in the input itself, and that only a pyproject.toml may have.
_OF_ENVIRONMENTS = ("environments", "required-environments")
_OF_INPUTS = (
    *("constraint-dependencies", "override-dependencies", "exclude-dependencies", "build-constraint-dependencies"),
    *("extra-build-dependencies", *_OF_ENVIRONMENTS),
)
_OF_PROJECTS = (
    *("build-backend", "conflicts", "default-groups", "dependency-groups", "dev-dependencies"),
    *("managed", "package", "sources", "workspace"),
)
# Common settings, for hints about misplaced ones.
OF_SCRIPTS = (*_OF_INPUTS, "sources")
COMMON = (
    *(
        "index",
        "index-url",
        "extra-index-url",
        "find-links",
        "index-strategy",
        "exclude-newer",
        "exclude-newer-package",
    ),
    *("prerelease", "resolution", "dependency-metadata", "no-build", "no-binary", "no-index", "keyring-provider"),
)
# Settings of other commands of uv.
_OF_COMMANDS = ("add-bounds", "audit", "cache-keys", "check-url", "pip", "publish-url", "trusted-publishing")
# Environment variables of uv that count: about indexes and versions, ...
_OF_RESOLUTION = (
    *("UV_DEFAULT_INDEX", "UV_EXCLUDE_NEWER", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_FORK_STRATEGY", "UV_INDEX"),
    *("UV_INDEX_STRATEGY", "UV_INDEX_URL", "UV_NO_SOURCES", "UV_NO_SOURCES_PACKAGE", "UV_PRERELEASE", "UV_RESOLUTION"),
)
# ... about builds, ...
_OF_BUILDS = (
    *("UV_GIT_LFS", "UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "UV_NO_BUILD", "UV_NO_BUILD_ISOLATION"),
    "UV_NO_BUILD_PACKAGE",
)
# ... about the network and this machine, ...
_OF_MACHINES = (
    *(
        "UV_CACHE_DIR",
        "UV_CONCURRENT_BUILDS",
        "UV_CONCURRENT_DOWNLOADS",
        "UV_CONCURRENT_INSTALLS",
        "UV_CREDENTIALS_DIR",
    ),
    *("UV_GITHUB_FAST_PATH_URL", "UV_GITHUB_TOKEN", "UV_HTTP_CONNECT_TIMEOUT", "UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT"),
    *("UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_LINK_MODE", "UV_LOCK_TIMEOUT", "UV_NATIVE_TLS", "UV_NO_CACHE"),
    *("UV_NO_GITHUB_FAST_PATH", "UV_OFFLINE", "UV_PREVIEW", "UV_PREVIEW_FEATURES", "UV_REQUEST_TIMEOUT"),
    *("UV_S3_ENDPOINT_URL", "UV_GCS_ENDPOINT_URL", "UV_AZURE_ENDPOINT_URL", "UV_STACK_SIZE", "UV_SYSTEM_CERTS"),
)
# ... and about Pythons.
_OF_PYTHONS = (
    *("UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_PYPY_INSTALL_MIRROR", "UV_PYTHON_CACHE_DIR"),
    *("UV_PYTHON_CPYTHON_BUILD", "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR"),
    *("UV_PYTHON_INSTALL_REGISTRY", "UV_PYTHON_NO_REGISTRY", "UV_PYTHON_PREFERENCE", "UV_PYTHON_SEARCH_PATH"),
)
# Where settings are: `effective` follows them, and so does uv where it reads its settings itself.
_OF_FILES = ("UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_NO_SYSTEM_CONFIG")
COUNTING_VARIABLES = frozenset((*_OF_RESOLUTION, *_OF_BUILDS, *_OF_MACHINES, *_OF_PYTHONS, *_OF_FILES))
# Environment variables that let uv find settings itself; an empty one is removed.
NO_CONFIG_FILE = {"UV_CONFIG_FILE": "", "UV_NO_CONFIG": ""}
_CREDENTIALS = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without the environment variables of uv that do not count here.

    Some would make uv work on another project (UV_PROJECT, UV_WORKING_DIR), others belong to other commands
    (UV_REQUIRE_HASHES) or to projects (UV_NO_GROUP), or change what a lock is for (UV_FROZEN, UV_LOCKED).
    """
    return {
        name: text
        for name, text in environ.items()
        if not name.startswith("UV_") or name in COUNTING_VARIABLES or _CREDENTIALS.fullmatch(name)
    }


def effective(own: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings for an input in `folder` whose own `[tool.uv]`, with absolute paths, is `own`.

    Like uv, lists are concatenated, tables merged, and other values of the nearest place win. Paths are absolute.
    Raises `WheelhouseError` for a uv.toml that cannot be read.
    """
    settings = dict(own)
    for table in outer_settings(folder):
        settings = combined(settings, table)
    if "index" in settings:
        settings["index"] = list(_distinct_indexes(settings["index"]))
    return settings


def _distinct_indexes(indexes: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the first index of each name, and only one default index: uv ignores others, but not in one file."""
    names: set[str] = set()
    has_default = False
    for index in indexes:
        is_default = bool(index.get("default"))
        if index.get("name") in names or (is_default and has_default):
            continue
        if index.get("name"):
            names.add(index["name"])
        has_default = has_default or is_default
        yield index


def outer_settings(folder: Path) -> list[dict[str, Any]]:
    """Return the settings from outside of an input in `folder` that count for it, the nearest place first."""
    if os.environ.get("UV_CONFIG_FILE"):
        tables = [_user_settings()]
    elif os.environ.get("UV_NO_CONFIG"):
        tables = []
    else:
        tables = [_settings_around(folder), _user_settings(), _system_settings()]
    return list(map(outside_of_inputs, tables))


def write_config(settings: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Write `settings` as the uv.toml `path`; return environment variables that let uv read it and no other one."""
    invalid = (*_OF_PROJECTS, *_OF_ENVIRONMENTS, *_OF_COMMANDS)
    outside = {key: value for key, value in settings.items() if key not in invalid}
    path.touch(mode=0o600)  # URLs of indexes may contain passwords.
    path.write_text(toml.dumps(outside), encoding="utf-8")
    return {"UV_CONFIG_FILE": str(path), "UV_NO_CONFIG": "false"}


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
    """Return both settings combined like uv does, where `first` has precedence."""
    result = {**second, **first}
    for key in first.keys() & second.keys():
        here, there = first[key], second[key]
        if isinstance(here, list) and isinstance(there, list):
            result[key] = [*here, *there]
        elif isinstance(here, dict) and isinstance(there, dict):
            result[key] = combined(here, there)
    return result


def outside_of_inputs(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `settings` that count for an input inside."""
    excluded = (*_OF_INPUTS, *_OF_PROJECTS, *_OF_COMMANDS)
    return {key: value for key, value in settings.items() if key not in excluded}


def _settings_around(folder: Path) -> dict[str, Any]:
    """Return the settings that uv finds for `folder`: in a uv.toml, or in `[tool.uv]` of a pyproject.toml.

    In a project, these are the ones of the root of its workspace, and otherwise the nearest ones in `folder` and its
    parents.
    """
    start = _workspace_root(folder) or folder
    for place in (start, *start.parents):
        if (place / "uv.toml").is_file():
            settings = _read_config(place / "uv.toml")
            misplaced = sorted(settings.keys() & {*_OF_PROJECTS, *_OF_ENVIRONMENTS})
            if misplaced:
                raise _invalid(place / "uv.toml", [f"{key} is only valid in a pyproject.toml" for key in misplaced])
            return absolute(settings, place)
        tool = _uv_table(_read_project(place))
        if tool:
            return absolute(tool, place)
    return {}


def _workspace_root(folder: Path) -> Path | None:
    """Return the root of the workspace around `folder`, or the project without one, or None outside of projects."""
    project = next((place for place in (folder, *folder.parents) if (place / "pyproject.toml").is_file()), None)
    if project is None:
        return None
    tables = _read_project(project)
    tool = _uv_table(tables)
    if tool.get("managed") is False or not ("project" in tables or "workspace" in tool):
        return None
    if "workspace" in tool:
        return project
    for parent in project.parents:
        workspace = _uv_table(_read_project(parent)).get("workspace")
        if isinstance(workspace, dict):
            is_member = project in _matches(parent, workspace, "members")
            return parent if is_member and project not in _matches(parent, workspace, "exclude") else project
    return project


def _matches(root: Path, workspace: Mapping[str, Any], key: str) -> Iterator[Path]:
    """Yield the folders in `root` that match the patterns of the list `key` of a workspace."""
    patterns = workspace.get(key)
    for pattern in patterns if isinstance(patterns, list) else []:
        text = str(pattern).strip("/").removeprefix("./")
        if text:
            yield from root.glob(text)


def _read_project(folder: Path) -> dict[str, Any]:
    """Return the tables of the pyproject.toml in `folder`; none if there is none, or an invalid one, as for uv."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        return {}
    with files.explained(path):
        text = files.read_input(path).decode(errors="replace")
    try:
        return toml.loads(text)
    except ValueError:
        return {}


def _uv_table(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return `[tool.uv]` of a pyproject.toml; no settings if its types are wrong, as for uv."""
    tool = tables.get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    return dict(table) if isinstance(table, dict) and not faults_of(table) else {}


def _user_settings() -> dict[str, Any]:
    """Return the user's uv.toml, or the one that UV_CONFIG_FILE names; no tables if there is none."""
    home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    # Path.home() fails for a user that the system does not know, as in a container.
    home = home or os.path.expanduser("~/.config")  # noqa: PTH111 - see above
    named = os.environ.get("UV_CONFIG_FILE")
    path = Path(named or Path(home) / "uv" / "uv.toml").absolute()
    return absolute(_read_config(path), path.parent) if named or path.is_file() else {}


def _system_settings() -> dict[str, Any]:
    """Return the system's uv.toml; no tables if there is none or it is disabled."""
    if os.environ.get("UV_NO_SYSTEM_CONFIG"):
        return {}
    if os.name == "nt":
        folders = [os.environ.get("PROGRAMDATA") or "C:\\ProgramData"]
    else:
        folders = [*(os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep), "/etc"]
    path = next((path for parent in folders if (path := Path(parent, "uv", "uv.toml")).is_file()), None)
    return absolute(_read_config(path), path.parent) if path else {}


def _read_config(path: Path) -> dict[str, Any]:
    """Return the settings in the uv.toml `path`. Raises `WheelhouseError` if it cannot be used."""
    with files.explained(path):
        text = files.read_input(path).decode(errors="replace")
    try:
        tables = toml.loads(text)
        faults = faults_of(tables)
    except ValueError as error:
        faults = [str(error)]
    if faults:
        raise _invalid(path, faults)
    return tables


def _invalid(path: Path, faults: Iterable[str]) -> WheelhouseError:
    return WheelhouseError(f"{path}: is not a valid configuration file of uv: {'; '.join(faults)}", hint="fix it")


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
