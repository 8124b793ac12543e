"""What pip is configured to, said to uv and to our downloads in the variables that they read."""

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

# Where pip keeps settings, as its documentation has it. Whether any is there decides only whether pip is asked, which
# takes a third of a second.
_PLACES = (
    *("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", "~/pip/pip.ini", f"{sys.prefix}/pip.conf"),
    *("~/Library/Application Support/pip/pip.conf", "/Library/Application Support/pip/pip.conf"),
    *("$APPDATA/pip/pip.ini", "$PROGRAMDATA/pip/pip.ini", f"{sys.prefix}/pip.ini", "$PIP_CONFIG_FILE"),
    "$XDG_CONFIG_HOME/pip/pip.conf",
)
_LINE = re.compile(r"(?P<section>[^.=]+)\.(?P<key>[\w-]+)=(?P<value>.*)")
# The later ones count more. Environment variables are a section of their own for pip.
_SECTIONS = ("global", "install", ":env:")
_INDEX_KEYS = ("index", "index-url", "extra-index-url", "find-links", "no-index")
_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def read_pip_settings() -> dict[str, str]:
    """Return the settings that `pip install` would follow here, by their names in pip.conf; {} where there are none."""
    if not _is_configured():
        return {}
    _, out, _ = process.run([sys.executable, "-m", "pip", "config", "list"])
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for match in filter(None, map(_LINE.fullmatch, out.splitlines())):
        if match["section"] in found:
            found[match["section"]][match["key"]] = str(ast.literal_eval(match["value"]))
    return {key: value for section in _SECTIONS for key, value in found[section].items()}


def _is_configured() -> bool:
    if any(name.startswith("PIP_") and name != "PIP_CONFIG_FILE" for name in os.environ):
        return True
    more = [f"{each}/pip/pip.conf" for each in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    return any(Path(os.path.expandvars(os.path.expanduser(each))).is_file() for each in (*_PLACES, *more))  # noqa: PTH111 - a user without a home is none


def names_index(tables: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether uv's variables, or settings of uv in `tables`, say where packages come from in general."""
    if any(os.environ.get(name) for name in _INDEX_VARIABLES):
        return True
    return any(
        any(not each.get("explicit") for each in table[key]) if key == "index" else bool(table[key])
        for table in tables
        for key in _INDEX_KEYS
        if key in table
    )


def index_variables(settings: Mapping[str, str], nowhere: Path) -> dict[str, str]:
    """Return the variables with which uv takes packages from where pip does; `nowhere` is an empty folder.

    pip takes the best version that any of its indexes has, and so does uv then.
    """
    found = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
    }
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        # uv has no such variable.
        found |= {"UV_DEFAULT_INDEX": nowhere.as_uri(), "UV_INDEX": ""}
    found = {name: value for name, value in found.items() if value}
    return {**found, "UV_INDEX_STRATEGY": "unsafe-best-match"} if found else {}


def network_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which uv and we reach hosts as pip does, unless others are set already."""
    found: dict[str, str] = {}
    if "proxy" in settings and not any(os.environ.get(each) or os.environ.get(each.lower()) for each in _PROXIES):
        found |= {"HTTP_PROXY": settings["proxy"], "HTTPS_PROXY": settings["proxy"]}
    if "cert" in settings and not any(map(os.environ.get, _CERTIFICATES)):
        found["SSL_CERT_FILE"] = os.path.expanduser(settings["cert"])  # noqa: PTH111 - as above
    if "client-cert" in settings and not os.environ.get("SSL_CLIENT_CERT"):
        found["SSL_CLIENT_CERT"] = os.path.expanduser(settings["client-cert"])  # noqa: PTH111 - as above
    if "trusted-host" in settings:
        hosts = [os.environ.get("UV_INSECURE_HOST", ""), *settings["trusted-host"].split()]
        found["UV_INSECURE_HOST"] = " ".join(filter(None, hosts))
    return found
