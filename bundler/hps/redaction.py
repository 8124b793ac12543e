"""Hide secrets in messages, in the forms in which a server may repeat them."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

_HIDDEN = "***"
_TOKEN = re.compile(r"eyJ[\w-]{5,}(\.[\w-]+)*|(?i:bearer)\s+\S+")
# Shorter secrets are only hidden as whole words; inside other words, they would make messages unreadable.
_SHORT = 4
# Characters of base64 that two texts do not have in common by chance.
_CODED = 5

_FORM = "application/x-www-form-urlencoded"
# Fields of forms and answers of OAuth 2.0 that are secret.
_SECRET_FIELDS = (
    "password",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
)

# One set of secrets for each process, since any part of it may have to report an error.
_known: set[str] = set()
_forms_of_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(*secrets: str | None) -> None:
    """Hide `secrets` in all later messages of this process, including their URL, JSON, HTML and base64 forms."""
    global _pattern  # noqa: PLW0603 - see `_known`
    fresh = {secret for secret in secrets if secret} - _known
    if not fresh:
        return
    _known.update(fresh)
    for secret in fresh:
        _forms_of_known.update(_forms(secret))
    # The longest first, since one may be part of another; a copy, since threads may add some meanwhile.
    forms = sorted(_forms_of_known.copy(), key=len, reverse=True)
    _pattern = re.compile("|".join(map(_expression, forms)), re.IGNORECASE)


def _expression(form: str) -> str:
    expression = re.escape(form)
    if len(form) < _SHORT:
        return rf"(?<!\w){expression}(?!\w)"
    return expression


def hide_secrets_of(request: Any) -> None:
    """Hide what proves who sends a request of the requests library: its token, or the fields of a login."""
    kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
    if kind:
        hide(token)
    if request.headers.get("Content-Type") != _FORM:
        return
    body = request.body or ""
    if isinstance(body, bytes):
        body = body.decode()
    for name, value in parse_qsl(body):
        if name in _SECRET_FIELDS:
            hide(value)


def hide_tokens_in(response: Any) -> None:
    """Hide the tokens in the answer to a login, which is the answer to a form."""
    if response.request.headers.get("Content-Type") != _FORM:
        return
    answer = None
    with contextlib.suppress(ValueError):
        answer = response.json()
    if not isinstance(answer, dict):
        return
    for name in _SECRET_FIELDS:
        value = answer.get(name)
        if isinstance(value, str):
            hide(value)


def without_secrets(text: str) -> str:
    """Return `text` without hidden secrets, and without anything that looks like an access token."""
    if _pattern is not None:
        text = _pattern.sub(_HIDDEN, text)
    return _TOKEN.sub(_HIDDEN, text)


def plain(text: object) -> str:
    """Return `text` from a server as one line without secrets and control characters."""
    shown = [
        character if character.isprintable() else " " for character in without_secrets(str(text))
    ]
    return "".join(shown).strip()


def printable(line: str) -> str:
    """Return `line` without secrets and control characters, since a job must not control the user's terminal."""
    return "".join(
        character if character.isprintable() else "?"
        for character in without_secrets(line.expandtabs())
    )


def _forms(secret: str) -> set[str]:
    data = secret.encode("utf-8", "surrogateescape")
    forms = {secret, quote(data, safe=""), quote(data), quote_plus(data), html.escape(secret)}
    forms |= {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
    forms |= {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    if secret.split():
        forms.add(" ".join(secret.split()))
    for core in _within_base64(data):
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms


def _within_base64(data: bytes) -> list[str]:
    """Return the three forms that `data` has in the base64 of a longer text, such as user:password."""
    cores = []
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        first = (before * 8 + 5) // 6
        end = (before + len(data)) * 8 // 6
        if end - first >= _CODED:
            cores.append(whole[first:end])
    return cores
