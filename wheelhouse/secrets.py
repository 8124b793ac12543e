"""Environment variables with secrets: which programs get them, and how they are hidden in messages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

_SECRET = re.compile(
    r"PASSW|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL",
    re.IGNORECASE,
)
_WITH_PASSWORD = re.compile(r"[a-z+]{1,20}://[^\s/@]{1,2000}@[^\s,'\"]{1,2000}")
# Shorter values occur in many texts by chance.
_SHORTEST = 4
# The environment variables that a build may need.
_BUILD = re.compile(
    r"PATH|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SHELL|TERM|SOURCE_DATE_EPOCH"
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|PROGRAMFILES\w*|PROGRAMDATA|NUMBER_OF_PROCESSORS|PROCESSOR_\w+"
    r"|CC|CXX|FC|F77|F90|LD|AR|AS|NM|RANLIB|STRIP|\w*FLAGS|CPATH|C_INCLUDE_PATH|LIBRARY_PATH|LD_LIBRARY_PATH"
    r"|INCLUDE|LIB|LIBPATH|VC\w+|VS\w+|WINDOWSSDK\w*|PKG_CONFIG\w*|CMAKE_\w+|NINJA\w*|MESON\w*"
    r"|MACOSX_DEPLOYMENT_TARGET|SDKROOT|DEVELOPER_DIR|RUSTUP_HOME|SETUPTOOLS_SCM_PRETEND_VERSION\w*"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|HTTPS?_PROXY|ALL_PROXY|NO_PROXY|PYENV_ROOT",
    re.IGNORECASE,
)


def without_secrets(environ: Mapping[str, str], *, keeps: str = "UV_") -> dict[str, str]:
    """Return the variables in `environ` whose names do not suggest a secret, and those that start with `keeps`."""
    return {
        name: text
        for name, text in environ.items()
        if name.startswith(keeps) or not _SECRET.search(name)
    }


def build_environment(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """Return the environment variables for a build: those that it may need, no secrets, and the HOME `home`."""
    variables = {}
    for name, text in environ.items():
        if _SECRET.search(name) or _WITH_PASSWORD.search(text):
            continue
        if _BUILD.fullmatch(name):
            variables[name] = text
    rust = os.path.expanduser("~/.rustup")  # noqa: PTH111 - Path.expanduser() fails for a user without a home
    if os.path.isdir(rust):  # noqa: PTH112 - as above
        variables.setdefault("RUSTUP_HOME", rust)
    variables["HOME"] = home
    variables["USERPROFILE"] = home
    return variables


def secret_values(environ: Mapping[str, str], more: Iterable[str] = ()) -> set[str]:
    """Return the secrets in `environ`, recognized by name or as passwords in URLs, and those in `more`."""
    values = set(more)
    for name, text in environ.items():
        if _SECRET.search(name):
            values.add(text)
        values.update(_passwords(text))
    return {value for value in values if len(value) >= _SHORTEST}


def _passwords(text: str) -> Iterator[str]:
    for url in _WITH_PASSWORD.findall(text):
        try:
            password = urlsplit(url).password
        except ValueError:
            continue
        if password:
            yield password
            yield unquote(password)


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with all `secrets` replaced by asterisks, including their URL-encoded forms."""
    forms = set(secrets)
    forms |= {quote(secret, safe="") for secret in forms}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
