"""pip's configuration, translated into environment variables for uv and our downloads."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wheelhouse import files
from wheelhouse.errors import WheelhouseError

# Later ones take precedence. pip treats environment variables as a section of their own.
_SECTIONS = ("global", "install")
# Environment variables of pip that are not settings, from its documentation.
_NO_SETTINGS = ("PIP_VERSION", "PIP_HELP", "PIP_CONFIG_FILE")
_INDEX_KEYS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
)
_INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
)
_PROXIES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def read_pip_settings() -> dict[str, str]:
    """Return the settings of `pip install` on this machine by their names in pip.conf; {} if there are none.

    Reads the files itself, in the order of pip's documentation: `pip config list` takes a third of a second.
    """
    settings: dict[str, str] = {}
    sections = [_sections(path) for path in _files()]
    for name in _SECTIONS:
        for file in sections:
            settings.update(file.get(name, {}))
    for variable, text in os.environ.items():
        if variable.startswith("PIP_") and variable not in _NO_SETTINGS and text:
            settings[_key(variable.removeprefix("PIP_"))] = text
    return settings


def _files() -> Iterator[Path]:
    """Yield the configuration files of pip that exist: of the system, the user, this environment, and the named one.

    A named file replaces those of the user.
    """
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    folders = _system_folders()
    if not named or not Path(named).exists():
        folders += _user_folders()
    folders.append(Path(sys.prefix))
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    paths = [folder / name for folder in folders]
    if named:
        paths.append(Path(named))
    for path in paths:
        if path.is_file():
            yield path


def _system_folders() -> list[Path]:
    """Return the folders with configuration files of the system."""
    if os.name == "nt":
        return [Path(os.environ.get("PROGRAMDATA", ""), "pip")]
    if sys.platform == "darwin":
        return [Path("/Library/Application Support/pip")]
    named = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    folders = [Path(folder, "pip") for folder in named.split(os.pathsep)]
    return [*folders, Path("/etc")]


def _user_folders() -> list[Path]:
    """Return the folders with configuration files of the user."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() fails for a user that the system does not know
    if os.name == "nt":
        return [home / "pip", Path(os.environ.get("APPDATA", home), "pip")]
    if sys.platform == "darwin":
        own = home / "Library/Application Support/pip"
        if not own.is_dir():
            own = home / ".config/pip"
    else:
        own = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip")
    return [home / ".pip", own]


def _sections(path: Path) -> dict[str, dict[str, str]]:
    """Return the settings in the file `path` by section and key. Raises `WheelhouseError` if it cannot be read."""
    parser = configparser.RawConfigParser()
    try:
        with files.explained(path):
            parser.read_string(files.decoded(files.read_input(path)))
    except configparser.Error as error:
        reason = str(error).partition("\n")[0]
        raise WheelhouseError(
            f"{path}: is not a valid configuration file of pip ({reason})", hint="fix it"
        ) from error
    result = {}
    for section in parser.sections():
        result[section] = {_key(name): text for name, text in parser.items(section)}
    return result


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def names_index(tables: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether uv's environment variables or its settings in `tables` configure an index."""
    if _any_is_set(_INDEX_VARIABLES):
        return True
    return any(map(_table_names_index, tables))


def _table_names_index(table: Mapping[str, Any]) -> bool:
    for index in table.get("index", []):
        if not index.get("explicit"):
            return True
    return any(table.get(key) for key in _INDEX_KEYS)


def _any_is_set(names: Iterable[str]) -> bool:
    return any(map(os.environ.get, names))


def index_variables(settings: Mapping[str, str], nowhere: Path) -> dict[str, str]:
    """Return environment variables with which uv uses pip's indexes; `nowhere` is an empty folder.

    pip chooses the best version on any of its indexes, so uv must do so, too.
    """
    variables = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
    }
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        # uv has no environment variable for this.
        variables["UV_DEFAULT_INDEX"] = nowhere.as_uri()
        variables["UV_INDEX"] = ""
    variables = {name: value for name, value in variables.items() if value}
    if variables:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def network_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables for pip's certificates, proxies and hosts, unless they are already set."""
    variables: dict[str, str] = {}
    if "proxy" in settings and not _any_is_set(_PROXIES):
        variables["HTTP_PROXY"] = settings["proxy"]
        variables["HTTPS_PROXY"] = settings["proxy"]
    if "cert" in settings and not _any_is_set(_CERTIFICATES):
        variables["SSL_CERT_FILE"] = os.path.expanduser(settings["cert"])  # noqa: PTH111 - see above
    if "client-cert" in settings and not os.environ.get("SSL_CLIENT_CERT"):
        variables["SSL_CLIENT_CERT"] = os.path.expanduser(settings["client-cert"])  # noqa: PTH111 - see above
    if "trusted-host" in settings:
        hosts = settings["trusted-host"].split()
        known = os.environ.get("UV_INSECURE_HOST")
        if known:
            hosts.insert(0, known)
        variables["UV_INSECURE_HOST"] = " ".join(hosts)
    return variables
