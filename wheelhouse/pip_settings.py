"""pip's configuration, translated into environment variables for uv and our downloads."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelhouse import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# pip's configuration files, from its documentation. They only determine whether pip is asked, which takes a third of a
# second.
_PLACES = (
    *("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", "~/pip/pip.ini", f"{sys.prefix}/pip.conf"),
    *("~/Library/Application Support/pip/pip.conf", "/Library/Application Support/pip/pip.conf"),
    *("$APPDATA/pip/pip.ini", "$PROGRAMDATA/pip/pip.ini", f"{sys.prefix}/pip.ini", "$PIP_CONFIG_FILE"),
    "$XDG_CONFIG_HOME/pip/pip.conf",
)
_LINE = re.compile(r"(?P<section>[^.=]+)\.(?P<key>[\w-]+)=(?P<value>.*)")
# Later ones take precedence. pip treats environment variables as a section of their own.
_SECTIONS = ("global", "install", ":env:")
_INDEX_KEYS = ("index", "index-url", "extra-index-url", "find-links", "no-index")
_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def read_pip_settings() -> dict[str, str]:
    """Return the settings of `pip install` on this machine by their names in pip.conf; {} if there are none."""
    if not _is_configured():
        return {}
    _, out, _ = process.run([sys.executable, "-m", "pip", "config", "list"])
    sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for match in filter(None, map(_LINE.fullmatch, out.splitlines())):
        if match["section"] in sections:
            sections[match["section"]][match["key"]] = str(ast.literal_eval(match["value"]))
    return {key: value for section in _SECTIONS for key, value in sections[section].items()}


def _is_configured() -> bool:
    if any(name.startswith("PIP_") and name != "PIP_CONFIG_FILE" for name in os.environ):
        return True
    more = [f"{folder}/pip/pip.conf" for folder in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    return any(Path(os.path.expandvars(os.path.expanduser(folder))).is_file() for folder in (*_PLACES, *more))  # noqa: PTH111 - Path.expanduser() fails without a home


def names_index(tables: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether uv's environment variables or its settings in `tables` configure an index."""
    if any(os.environ.get(name) for name in _INDEX_VARIABLES):
        return True
    return any(
        any(not index.get("explicit") for index in table[key]) if key == "index" else bool(table[key])
        for table in tables
        for key in _INDEX_KEYS
        if key in table
    )


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
        variables |= {"UV_DEFAULT_INDEX": nowhere.as_uri(), "UV_INDEX": ""}
    variables = {name: value for name, value in variables.items() if value}
    return {**variables, "UV_INDEX_STRATEGY": "unsafe-best-match"} if variables else {}


def network_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables for pip's certificates, proxies and hosts, unless they are already set."""
    variables: dict[str, str] = {}
    if "proxy" in settings and not any(os.environ.get(name) or os.environ.get(name.lower()) for name in _PROXIES):
        variables |= {"HTTP_PROXY": settings["proxy"], "HTTPS_PROXY": settings["proxy"]}
    if "cert" in settings and not any(map(os.environ.get, _CERTIFICATES)):
        variables["SSL_CERT_FILE"] = os.path.expanduser(settings["cert"])  # noqa: PTH111 - see above
    if "client-cert" in settings and not os.environ.get("SSL_CLIENT_CERT"):
        variables["SSL_CLIENT_CERT"] = os.path.expanduser(settings["client-cert"])  # noqa: PTH111 - see above
    if "trusted-host" in settings:
        hosts = [os.environ.get("UV_INSECURE_HOST", ""), *settings["trusted-host"].split()]
        variables["UV_INSECURE_HOST"] = " ".join(filter(None, hosts))
    return variables
