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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wheelhouse import files, toml
from wheelhouse.errors import WheelhouseError

Settings = Mapping[str, Any]

# Settings that only count in the input itself, and that only a pyproject.toml may have.
_OF_ENVIRONMENTS = ("environments", "required-environments")
_OF_INPUTS = (
    "constraint-dependencies",
    "override-dependencies",
    "exclude-dependencies",
    "build-constraint-dependencies",
    "extra-build-dependencies",
    *_OF_ENVIRONMENTS,
)
_OF_PROJECTS = (
    "build-backend",
    "conflicts",
    "default-groups",
    "dependency-groups",
    "dev-dependencies",
    "managed",
    "package",
    "sources",
    "workspace",
)
_OF_PYPROJECTS = (*_OF_PROJECTS, *_OF_ENVIRONMENTS)
# Common settings, for hints about misplaced ones.
OF_SCRIPTS = (*_OF_INPUTS, "sources")
COMMON = (
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "index-strategy",
    "exclude-newer",
    "exclude-newer-package",
    "prerelease",
    "resolution",
    "dependency-metadata",
    "no-build",
    "no-binary",
    "no-index",
    "keyring-provider",
)
# Settings of other commands of uv.
_OF_COMMANDS = (
    "add-bounds",
    "audit",
    "cache-keys",
    "check-url",
    "pip",
    "publish-url",
    "trusted-publishing",
)
# Environment variables of uv that count.
COUNTING_VARIABLES = frozenset(
    (
        # About indexes and versions.
        "UV_DEFAULT_INDEX",
        "UV_EXCLUDE_NEWER",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_FORK_STRATEGY",
        "UV_INDEX",
        "UV_INDEX_STRATEGY",
        "UV_INDEX_URL",
        "UV_NO_SOURCES",
        "UV_NO_SOURCES_PACKAGE",
        "UV_PRERELEASE",
        "UV_RESOLUTION",
        # About builds.
        "UV_GIT_LFS",
        "UV_NO_BINARY",
        "UV_NO_BINARY_PACKAGE",
        "UV_NO_BUILD",
        "UV_NO_BUILD_ISOLATION",
        "UV_NO_BUILD_PACKAGE",
        # About the network and this machine.
        "UV_CACHE_DIR",
        "UV_CONCURRENT_BUILDS",
        "UV_CONCURRENT_DOWNLOADS",
        "UV_CONCURRENT_INSTALLS",
        "UV_CREDENTIALS_DIR",
        "UV_GITHUB_FAST_PATH_URL",
        "UV_GITHUB_TOKEN",
        "UV_HTTP_CONNECT_TIMEOUT",
        "UV_HTTP_RETRIES",
        "UV_HTTP_TIMEOUT",
        "UV_INSECURE_HOST",
        "UV_KEYRING_PROVIDER",
        "UV_LINK_MODE",
        "UV_LOCK_TIMEOUT",
        "UV_NATIVE_TLS",
        "UV_NO_CACHE",
        "UV_NO_GITHUB_FAST_PATH",
        "UV_OFFLINE",
        "UV_PREVIEW",
        "UV_PREVIEW_FEATURES",
        "UV_REQUEST_TIMEOUT",
        "UV_S3_ENDPOINT_URL",
        "UV_GCS_ENDPOINT_URL",
        "UV_AZURE_ENDPOINT_URL",
        "UV_STACK_SIZE",
        "UV_SYSTEM_CERTS",
        # About Pythons.
        "UV_MANAGED_PYTHON",
        "UV_NO_MANAGED_PYTHON",
        "UV_PYPY_INSTALL_MIRROR",
        "UV_PYTHON_CACHE_DIR",
        "UV_PYTHON_CPYTHON_BUILD",
        "UV_PYTHON_DOWNLOADS_JSON_URL",
        "UV_PYTHON_INSTALL_DIR",
        "UV_PYTHON_INSTALL_MIRROR",
        "UV_PYTHON_INSTALL_REGISTRY",
        "UV_PYTHON_NO_REGISTRY",
        "UV_PYTHON_PREFERENCE",
        "UV_PYTHON_SEARCH_PATH",
        # Where settings are: `effective` follows them, and so does uv where it reads its settings itself.
        "UV_CONFIG_FILE",
        "UV_NO_CONFIG",
        "UV_NO_SYSTEM_CONFIG",
    )
)
# Environment variables that let uv find settings itself; an empty one is removed.
NO_CONFIG_FILE = {"UV_CONFIG_FILE": "", "UV_NO_CONFIG": ""}
_CREDENTIALS = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without the environment variables of uv that do not count here.

    Some would make uv work on another project (UV_PROJECT, UV_WORKING_DIR), others belong to other commands
    (UV_REQUIRE_HASHES) or to projects (UV_NO_GROUP), or change what a lock is for (UV_FROZEN, UV_LOCKED).
    """
    return {name: text for name, text in environ.items() if _counts(name)}


def _counts(variable: str) -> bool:
    if not variable.startswith("UV_") or variable in COUNTING_VARIABLES:
        return True
    return _CREDENTIALS.fullmatch(variable) is not None


def effective(own: Settings, folder: Path) -> dict[str, Any]:
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


def _distinct_indexes(indexes: Iterable[Settings]) -> Iterator[Settings]:
    """Yield the first index of each name, and only one default index: uv ignores others, but not in one file."""
    names: set[str] = set()
    has_default = False
    for index in indexes:
        name = index.get("name")
        is_default = bool(index.get("default"))
        if name in names:
            continue
        if is_default and has_default:
            continue
        if name:
            names.add(name)
        if is_default:
            has_default = True
        yield index


def outer_settings(folder: Path) -> list[Settings]:
    """Return the settings from outside of an input in `folder` that count for it, the nearest place first."""
    if os.environ.get("UV_CONFIG_FILE"):
        tables = [_user_settings()]
    elif os.environ.get("UV_NO_CONFIG"):
        tables = []
    else:
        tables = [
            _settings_around(folder),
            _user_settings(),
            _system_settings(),
        ]
    return [outside_of_inputs(table) for table in tables]


def write_config(settings: Settings, path: Path) -> dict[str, str]:
    """Write `settings` as the uv.toml `path`; return environment variables that let uv read it and no other one."""
    tables = _without(settings, (*_OF_PYPROJECTS, *_OF_COMMANDS))
    path.touch(mode=0o600)  # URLs of indexes may contain passwords.
    path.write_text(toml.dumps(tables), encoding="utf-8")
    return {"UV_CONFIG_FILE": str(path), "UV_NO_CONFIG": "false"}


def outside_of_inputs(settings: Settings) -> Settings:
    """Return those of `settings` that count for an input inside."""
    excluded = (*_OF_INPUTS, *_OF_PROJECTS, *_OF_COMMANDS)
    return _without(settings, excluded)


def _without(settings: Settings, keys: Collection[str]) -> Settings:
    return {key: value for key, value in settings.items() if key not in keys}


def absolute(settings: Settings, folder: Path) -> dict[str, Any]:
    """Return `settings` with absolute paths instead of paths relative to `folder`."""
    result = dict(settings)
    if "index-url" in result:
        result["index-url"] = _absolute(result["index-url"], folder)
    for key in ("find-links", "extra-index-url"):
        if key in result:
            result[key] = [_absolute(location, folder) for location in result[key]]
    if "index" in result:
        result["index"] = [
            {**index, "url": _absolute(index["url"], folder)} for index in result["index"]
        ]
    if "sources" in result:
        result["sources"] = {
            name: _absolute_source(source, folder) for name, source in result["sources"].items()
        }
    return result


def _absolute(location: str, folder: Path) -> str:
    if "://" in location:
        return location
    return str(folder / location)


def _absolute_source(source: Any, folder: Path) -> Any:
    """Return the source of a project, which is a table or a list of tables, with absolute paths."""
    if isinstance(source, list):
        return [_absolute_source(table, folder) for table in source]
    if "path" in source:
        return {**source, "path": str(folder / source["path"])}
    return source


def combined(first: Settings, second: Settings) -> dict[str, Any]:
    """Return both settings combined like uv does, where `first` has precedence."""
    result = {**second, **first}
    for key, here in first.items():
        there = second.get(key)
        if isinstance(here, list) and isinstance(there, list):
            result[key] = [*here, *there]
        elif isinstance(here, dict) and isinstance(there, dict):
            result[key] = combined(here, there)
    return result


def _settings_around(folder: Path) -> Settings:
    """Return the settings that uv finds for `folder`: in a uv.toml, or in `[tool.uv]` of a pyproject.toml.

    In a project, these are the ones of the root of its workspace, and otherwise the nearest ones in `folder` and its
    parents.
    """
    start = _workspace_root(folder) or folder
    for place in (start, *start.parents):
        config = place / "uv.toml"
        if config.is_file():
            settings = _read_config(config)
            faults = [
                f"{key} is only valid in a pyproject.toml"
                for key in sorted(settings)
                if key in _OF_PYPROJECTS
            ]
            if faults:
                raise _invalid(config, faults)
            return settings
        table = _uv_table(_read_project(place))
        if table:
            return absolute(table, place)
    return {}


def _workspace_root(folder: Path) -> Path | None:
    """Return the root of the workspace around `folder`, or the project without one, or None outside of projects."""
    project = _project_around(folder)
    if project is None:
        return None
    tables = _read_project(project)
    table = _uv_table(tables)
    is_project = "project" in tables or "workspace" in table
    if table.get("managed") is False or not is_project:
        return None
    if "workspace" in table:
        return project
    for parent in project.parents:
        workspace = _uv_table(_read_project(parent)).get("workspace")
        if not isinstance(workspace, dict):
            continue
        members = _matches(parent, workspace.get("members"))
        excluded = _matches(parent, workspace.get("exclude"))
        if project in members and project not in excluded:
            return parent
        break
    return project


def _project_around(folder: Path) -> Path | None:
    """Return the nearest of `folder` and its parents with a pyproject.toml."""
    for place in (folder, *folder.parents):
        if (place / "pyproject.toml").is_file():
            return place
    return None


def _matches(root: Path, patterns: object) -> Iterator[Path]:
    """Yield the folders in `root` that match a list of `patterns` of a workspace."""
    if not isinstance(patterns, list):
        return
    for pattern in patterns:
        text = str(pattern).strip("/").removeprefix("./")
        if text:
            yield from root.glob(text)


def _read_project(folder: Path) -> Settings:
    """Return the tables of the pyproject.toml in `folder`; none if there is none, or an invalid one, as for uv."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        return toml.loads(_text(path))
    except ValueError:
        return {}


def _text(path: Path) -> str:
    with files.explained(path):
        return files.read_input(path).decode(errors="replace")


def _uv_table(tables: Settings) -> Settings:
    """Return `[tool.uv]` of a pyproject.toml; no settings if its types are wrong, as for uv."""
    tool = tables.get("tool")
    if not isinstance(tool, dict):
        return {}
    table = tool.get("uv")
    if not isinstance(table, dict) or faults_of(table):
        return {}
    return table


def _user_settings() -> Settings:
    """Return the user's uv.toml, or the one that UV_CONFIG_FILE names; no tables if there is none."""
    named = os.environ.get("UV_CONFIG_FILE")
    if named:
        return _read_config(Path(named).absolute())
    variable = "APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME"
    # Path.home() fails for a user that the system does not know, as in a container.
    home = os.environ.get(variable) or os.path.expanduser("~/.config")  # noqa: PTH111 - see above
    path = Path(home, "uv", "uv.toml").absolute()
    if not path.is_file():
        return {}
    return _read_config(path)


def _system_settings() -> Settings:
    """Return the system's uv.toml; no tables if there is none or it is disabled."""
    if os.environ.get("UV_NO_SYSTEM_CONFIG"):
        return {}
    if os.name == "nt":
        folders = [os.environ.get("PROGRAMDATA") or "C:\\ProgramData"]
    else:
        named = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        folders = [*named.split(os.pathsep), "/etc"]
    for folder in folders:
        path = Path(folder, "uv", "uv.toml")
        if path.is_file():
            return _read_config(path)
    return {}


def _read_config(path: Path) -> Settings:
    """Return the settings in the uv.toml `path`, with absolute paths.

    Raises `WheelhouseError` if it cannot be used.
    """
    text = _text(path)
    try:
        tables = toml.loads(text)
    except ValueError as error:
        raise _invalid(path, [str(error)]) from error
    faults = faults_of(tables)
    if faults:
        raise _invalid(path, faults)
    return absolute(tables, path.parent)


def _invalid(path: Path, faults: Iterable[str]) -> WheelhouseError:
    reasons = "; ".join(faults)
    return WheelhouseError(
        f"{path}: is not a valid configuration file of uv: {reasons}", hint="fix it"
    )


def faults_of(settings: Settings) -> list[str]:
    """Return what is wrong with the types of the settings in `[tool.uv]` or a uv.toml that are read here.

    uv itself checks their values.
    """
    faults = []
    for key, (fits, meaning) in _SHAPES.items():
        value = settings.get(key)
        if value is not None and not fits(value):
            faults.append(f"tool.uv.{key} must be {meaning}")
    return faults


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_indexes(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_index, value))


def _is_index(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return _is_text(value.get("url")) and _has_texts(value, "name")


def _are_sources(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    for source in value.values():
        tables = source if isinstance(source, list) else [source]
        if not all(map(_is_source, tables)):
            return False
    return True


def _is_source(value: object) -> bool:
    return isinstance(value, dict) and _has_texts(value, "git", "url", "path", "index")


def _has_texts(table: Settings, *keys: str) -> bool:
    """Return whether each of `keys` is a string, if `table` has it."""
    return all(_is_text(table.get(key, "")) for key in keys)


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
