"""Log in with a browser, and keep the tokens."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bundler.hps.connection import explained, trust
from bundler.hps.guard import silence
from bundler.hps.session import guard_logins

if TYPE_CHECKING:
    from bundler.hps.connection import Account


def log_in(account: Account, storage: str) -> None:
    """Log in with a browser and keep the tokens in `storage` (keyring or disk). Raises `HpsError`."""
    from ansys.hps.client.auth.api import oidc_login

    silence()  # Reports an invalid HPS_TIMEOUT early.
    for module in (oidc_login, import_module("ansys.hps.client.authenticate")):
        guard_logins(module)
    trust(account)
    with explained(account.url):
        tokens = oidc_login.browser_login(account.url, verify_ssl=account.ca_bundle or not account.insecure)
        oidc_login.save_tokens(tokens, account.url, storage=storage)


def kept_tokens(url: str) -> dict[str, str]:
    """Return the tokens that `log_in` kept for `url`, with their `storage`; nothing if there are none."""
    from ansys.hps.client.auth.api.oidc_login import load_tokens

    for storage in ("keyring", "disk"):
        tokens: dict[str, Any] | None = None
        with contextlib.suppress(Exception):  # A keyring can raise anything.
            tokens = load_tokens(storage)
        if tokens and tokens.get("refresh_token") and tokens.get("hps_url", url).rstrip("/") == url.rstrip("/"):
            return {"refresh_token": str(tokens["refresh_token"]), "storage": storage}
    return {}
