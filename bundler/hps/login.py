"""Log in with a browser, on this machine or another device, and keep the tokens."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from ansys.hps.client.auth.api import oidc_login

from bundler.hps.connection import Account, explained, trust
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.hps.session import guard_logins, silence

# Seconds to wait for an answer to one request, and between questions if the server does not say (RFC 8628, 3.5).
_TIMEOUT, _INTERVAL = 15, 5.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def log_in(
    account: Account,
    storage: str,
    say: Callable[[str], None],
    *,
    device: bool = False,
) -> None:
    """Log in with a browser and keep the tokens in `storage` (keyring or disk); `say` tells the user what to open.

    With `device`, the browser may be on another machine (RFC 8628). Raises `HpsError`.
    """
    if storage == "keyring" and not find_spec("keyring"):
        raise HpsError(
            "keyring",
            "the package is not installed",
            "run `pip install keyring`, or use --store disk",
        )
    silence()  # Reports an invalid HPS_TIMEOUT early.
    trust(account)
    guard_logins()
    verify = account.ca_bundle or not account.insecure
    with explained(account.url):
        login = _with_device if device else _with_browser
        tokens = login(account.url, verify, say)
    with explained(storage):
        oidc_login.save_tokens(tokens, account.url, storage=storage)


def _with_browser(
    url: str,
    verify: bool | str,
    say: Callable[[str], None],
) -> Mapping[str, Any]:
    handler = _UrlHandler(say)
    previous = oidc_login.log.level
    oidc_login.log.addHandler(handler)
    oidc_login.log.setLevel(logging.INFO)
    try:
        return dict(oidc_login.browser_login(url, verify_ssl=verify))
    except RuntimeError as error:
        raise _explained(url, str(error)) or error from error
    finally:
        oidc_login.log.setLevel(previous)
        oidc_login.log.removeHandler(handler)


class _UrlHandler(logging.Handler):
    """Passes on the URL that the client logs, for users whose browser does not open."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the URL in `record`, if it has one."""
        if str(record.msg).startswith("URL: "):
            self._say(
                f"If no browser opens, open this URL on this machine:\n  {plain(record.getMessage()[5:])}"
            )


def _explained(url: str, text: str) -> HpsError | None:
    """Return the error for the message `text` of the client's login, or None for one about the server itself."""
    if text.startswith("Login failed: "):
        return HpsError(
            url,
            f"rejected the login ({text[14:].strip(' -')})",
            "ask the administrator of HPS for access",
        )
    if "timed out" in text:
        return HpsError(url, "nobody logged in within 5 minutes", "try again, or use --device")
    return None


def _with_device(
    url: str,
    verify: bool | str,
    say: Callable[[str], None],
) -> Mapping[str, Any]:
    """Return the tokens of a login on any device, by the device authorization grant (RFC 8628)."""
    endpoints = oidc_login.get_discovery_data(
        f"{url}/auth/realms/{oidc_login.REALM}", verify=verify
    )
    if "device_authorization_endpoint" not in endpoints:
        raise HpsError(url, "does not support a login on another device", "log in without --device")

    def post(endpoint: str, **form: str) -> Any:
        form["client_id"] = oidc_login.CLIENT_ID
        return oidc_login.requests.post(
            endpoints[endpoint],
            data=form,
            verify=verify,
            timeout=_TIMEOUT,
        )

    started = post("device_authorization_endpoint", scope="openid")
    started.raise_for_status()
    grant = started.json()
    page = grant.get("verification_uri_complete") or grant["verification_uri"]
    say(
        f"Open this URL on any device, and enter the code {plain(grant['user_code'])}:\n  {plain(page)}"
    )
    interval = float(grant.get("interval") or _INTERVAL)
    deadline = time.monotonic() + float(grant["expires_in"])
    while time.monotonic() < deadline:
        time.sleep(interval)
        answer = post("token_endpoint", grant_type=_DEVICE_GRANT, device_code=grant["device_code"])
        table = dict(answer.json())
        if "access_token" in table:
            return table
        reason = str(table.get("error"))
        if reason not in ("authorization_pending", "slow_down"):
            raise HpsError(
                url, f"rejected the login ({reason})", "ask the administrator of HPS for access"
            )
        if reason == "slow_down":
            interval += 5
    raise HpsError(url, "nobody logged in before the code expired", "run the command again")


def kept_tokens(url: str) -> dict[str, str]:
    """Return the tokens that `log_in` kept for `url`, with their `storage`; nothing if there are none."""
    for storage in ("keyring", "disk"):
        tokens: dict[str, Any] | None = None
        with contextlib.suppress(Exception):  # A keyring can raise anything.
            tokens = oidc_login.load_tokens(storage)
        if not tokens or not tokens.get("refresh_token"):
            continue
        if tokens.get("hps_url", url).rstrip("/") == url.rstrip("/"):
            return {"refresh_token": str(tokens["refresh_token"]), "storage": storage}
    return {}
