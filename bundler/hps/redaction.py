"""Hide secrets in messages, in whatever form a server returns them."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

_HIDDEN = "***"
_TOKEN = re.compile(r"eyJ[\w-]{5,}(\.[\w-]+)*|(?i:bearer)\s+\S+")
# Shorter secrets are only hidden as whole words; inside other words, they would make messages unreadable.
_SHORT = 4
# Characters of base64 that two texts do not have in common by chance.
_CODED = 5
_FORM = "application/x-www-form-urlencoded"
_SECRETS = ("password", "access_token", "refresh_token", "id_token", "client_secret", "code", "code_verifier")

_known: dict[str, tuple[str, ...]] = {}
_pattern: re.Pattern[str] | None = None


def hide(*secrets: str | None) -> None:
    """Hide `secrets` in all later messages of this process, including their URL, JSON, HTML and base64 forms."""
    global _pattern  # noqa: PLW0603 - one set of secrets for each process
    fresh = {secret: tuple(_forms(secret)) for secret in secrets if secret and secret not in _known}
    if not fresh:
        return
    _known.update(fresh)
    forms = sorted({form for several in list(_known.values()) for form in several}, key=len, reverse=True)
    _pattern = re.compile("|".join(map(_expression, forms)), re.IGNORECASE)


def hide_secrets_of(request: Any) -> None:
    """Hide what proves who sends a request of the requests library: its token, or what a login form holds."""
    kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
    hide(token if kind else None)
    if request.headers.get("Content-Type") == _FORM:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        hide(*(text for name, text in parse_qsl(body) if name in _SECRETS))


def hide_tokens_in(response: Any) -> None:
    """Hide the tokens in the answer to a login; only logins send forms."""
    if response.request.headers.get("Content-Type") != _FORM:
        return
    with contextlib.suppress(ValueError):
        tokens = response.json()
        if isinstance(tokens, dict):
            hide(*(text for name, text in tokens.items() if name in _SECRETS and isinstance(text, str)))


def without_secrets(text: str) -> str:
    """Return `text` without hidden secrets, and without anything that looks like an access token."""
    return _TOKEN.sub(_HIDDEN, _pattern.sub(_HIDDEN, text) if _pattern else text)


def plain(text: object) -> str:
    """Return `text` from a server as one line without secrets and control characters."""
    return "".join(character if character.isprintable() else " " for character in without_secrets(str(text))).strip()


def _expression(form: str) -> str:
    return re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode("utf-8", "surrogateescape")
    yield from (secret, quote(data, safe=""), quote(data), quote_plus(data), html.escape(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    if secret.split():
        yield " ".join(secret.split())
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode()
    # In the base64 of a longer text, such as user:password, the same bytes have one of three forms.
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        core = whole[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        if len(core) >= _CODED:
            yield from {core, core.replace("+", "-").replace("/", "_")}
