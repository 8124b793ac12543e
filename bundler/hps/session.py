"""The HTTP sessions of the HPS client: time limits, retries while a server is busy, and answers that are not from HPS.

The server that the user chose is trusted as far as its availability goes. A token is never sent to another one.
"""

from __future__ import annotations

import contextlib
import math
import os
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import InvalidHeader

from bundler.hps.errors import HpsError
from bundler.hps.redaction import hide_secrets_of, hide_tokens_in

# Seconds to connect, and the default for HPS_TIMEOUT. The client itself would wait forever.
_CONNECT, _SILENCE = 10.0, 60.0
BUSY = (429, 502, 503, 504)
_ATTEMPTS = 5
# With a Retry-After header (RFC 9110, 10.2.3, and RFC 6585, 4).
_NOT_PROCESSED = (429, 503)
# The modules of the client that log in. The package has functions of these names, too.
_LOGINS = ("ansys.hps.client.authenticate", "ansys.hps.client.auth.api.oidc_login")
_NOT_FOUND = 404
_PORTS = {"http": 80, "https": 443}
CHECK_URL = "check the URL; it should look like https://host:8443/hps"


def silence() -> float:
    """Return the seconds to wait for data from HPS. Raises `HpsError` if HPS_TIMEOUT is invalid."""
    text = os.environ.get("HPS_TIMEOUT") or str(_SILENCE)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise HpsError(
        "HPS_TIMEOUT", f"must be a positive number (got {text!r})", "set it to seconds, such as 60"
    )


def guard(session: requests.Session) -> None:
    """Give `session` time limits and retries. Its requests raise `HpsError` for what is no answer of HPS."""
    # A missing answer is not waited for five times; only requests that can be sent twice are sent again.
    retries = _Retry(
        total=_ATTEMPTS,
        read=1,
        backoff_factor=0.5,
        status_forcelist=BUSY,
        raise_on_status=False,
        redirect=0,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(max_retries=retries))


class _Retry(Retry):
    """Retries after the delay that a busy server asks for, up to HPS_TIMEOUT.

    A server that says when to try again has not processed the request, so that it can be sent again whatever it does.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT002 - as in urllib3
        """Return whether a request that was answered with `status_code` is sent again."""
        if has_retry_after and status_code in _NOT_PROCESSED:
            return bool(self.total)
        return super().is_retry(method, status_code, has_retry_after)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds to wait, or None if the server asks for no delay."""
        try:
            seconds = super().get_retry_after(response)
        except InvalidHeader:
            return None
        if seconds is None:
            return None
        return min(seconds, silence())


class _Adapter(HTTPAdapter):
    """Limits the time of each answer, and follows redirects on the same server only."""

    def send(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        """Send `request`. Raises `HpsError` for what is no answer of HPS, and the errors of requests."""
        hide_secrets_of(request)
        options["timeout"] = _timeout(options.get("timeout"))
        response = super().send(request, *args, **options)
        if response.is_redirect:
            _require_same_server(str(request.url), response)
        else:
            _require_api(response)
            hide_tokens_in(response)
        return response


class _LoginSession(requests.Session):
    """A session that is guarded from the start."""

    def __init__(self) -> None:
        super().__init__()
        guard(self)


class _Requests:
    """What the client uses of requests to log in."""

    Session = session = _LoginSession
    exceptions = requests.exceptions

    @staticmethod
    def post(url: str, **options: Any) -> requests.Response:
        with _LoginSession() as session:
            return session.post(url, **options)


def guard_logins() -> None:
    """Guard the sessions in which the client logs in, as it creates them itself."""
    for name in _LOGINS:
        import_module(name).requests = _Requests  # type: ignore[attr-defined]  # Its name for the library.


def _timeout(value: Any) -> Any:
    """Return the seconds to connect and to wait for data, or `value` if the client asks for less."""
    if value is None:
        return min(_CONNECT, silence()), silence()
    if isinstance(value, (int, float)):
        return min(value, silence())
    return value


def _require_same_server(url: str, response: requests.Response) -> None:
    """Raise `HpsError` unless `url` and the target of its redirect have the same scheme, host and port."""
    steps = requests.Session().resolve_redirects(response, response.request, yield_requests=True)
    target = str(next(steps).url)
    if _server(url) == _server(target):
        return
    raise HpsError(
        _server(url),
        f"the server redirects to another one ({_server(target)}), to which nothing was sent",
        "if HPS has moved, use its new URL; if not, tell the administrator of HPS",
    )


def _server(url: str) -> str:
    """Return the scheme, host and port of `url`; the rest may contain secrets."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    try:
        port = parts.port
    except ValueError:
        return "a malformed URL"
    if port is None or port == _PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def _require_api(response: requests.Response) -> None:
    """Raise `HpsError` if a web page answers instead of the API."""
    if not response.ok and response.status_code != _NOT_FOUND:
        return
    start = response.content.lstrip()[:20].lower()
    is_markup = (
        response.headers.get("Content-Type", "")
        .lower()
        .startswith(("text/html", "application/xhtml"))
    )
    if start.startswith((b"<!doctype", b"<html")) or (is_markup and start.startswith(b"<")):
        address = f"{_server(response.url)}{urlsplit(response.url).path}"
        raise HpsError(address, "answers with a web page instead of HPS's API", CHECK_URL)
