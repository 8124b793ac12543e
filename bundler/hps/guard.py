"""Limits for every request of the HPS client: time, size, redirects, and answers that are not from HPS.

Requests and responses are those of the requests library, which `bundler.hps.session` imports.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from bundler.hps.errors import HpsError
from bundler.hps.redaction import hide_secrets_of, hide_tokens_in

# Seconds to connect, and the default for HPS_TIMEOUT. The client itself would wait forever.
_CONNECT, _SILENCE = 10.0, 60.0
# An answer may take this many times HPS_TIMEOUT in total, with all attempts and pauses.
_PATIENCE = 10
# Bytes of an answer, decompressed. All fields of 10,000 jobs with their tasks and files are below 100 MB.
LARGEST = 512 << 20
_CHUNK = 1 << 16
BUSY = (429, 502, 503, 504)
# Seconds before each retry if a server is busy.
_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
# Requests that can safely be sent twice (RFC 9110, 9.2.2).
_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
_NOT_FOUND = 404
_PORTS = {"http": 80, "https": 443}
CHECK_URL = "check the URL; it should look like https://host:8443/hps"


def silence() -> float:
    """Return the seconds to wait for data from HPS. Raises `HpsError` if HPS_TIMEOUT is invalid."""
    text = os.environ.get("HPS_TIMEOUT") or str(_SILENCE)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise HpsError("HPS_TIMEOUT", f"must be a positive number (got {text!r})", "set it to seconds, such as 60")


def limit() -> float:
    """Return the seconds that one answer may take in total."""
    return _PATIENCE * silence()


def origin(url: str) -> tuple[str, str, int | None]:
    """Return the scheme, host and port of `url`. Raises `ValueError` if the port is invalid."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme.lower())


def shown_origin(url: str) -> str:
    """Return the scheme, host and port of `url` for messages; the rest may contain secrets."""
    try:
        scheme, host, port = origin(url)
    except ValueError:
        return "a malformed URL"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port is None or port == _PORTS.get(scheme) else f":{port}")


def require_same_origin(url: str, target: str) -> None:
    """Raise `HpsError` unless `url` and the target of its redirect have the same scheme, host and port."""
    with contextlib.suppress(ValueError):
        if origin(url) == origin(target):
            return
    raise HpsError(
        shown_origin(url),
        f"the server redirects to another one ({shown_origin(target)}), to which nothing was sent",
        "if HPS has moved, use its new URL; if not, tell the administrator of HPS",
    )


def too_large(url: str) -> HpsError:
    """Return the error for an answer from `url` with more than `LARGEST` bytes."""
    return HpsError(
        shown_origin(url),
        f"an answer is larger than {LARGEST >> 20} MiB",
        "tell the administrator of HPS, or check the URL",
    )


def too_slow(url: str) -> HpsError:
    """Return the error for an answer from `url` that took longer than `limit`."""
    return HpsError(
        shown_origin(url),
        f"an answer was not complete after {limit():g} s",
        f"try again, or increase HPS_TIMEOUT (an answer may take {_PATIENCE} times as long)",
    )


def exchange(send: Callable[..., Any], request: Any, options: Mapping[str, Any], next_url: Callable[[Any], str]) -> Any:
    """Return the response to `request`, which `send` sends with the `options` of an adapter, within limits.

    `next_url` returns the target of a redirect. Raises `HpsError` for an answer that is too large, too slow, not from
    the API, or a redirect to another server.
    """
    bounds = {**options, "timeout": _timeout(options.get("timeout"))}
    hide_secrets_of(request)
    deadline = time.monotonic() + limit()

    def answer() -> Any:
        response = _answer(lambda: send(**bounds), request, deadline)
        _read(response, deadline)
        return response

    response = _within(limit(), answer, request.url)
    if response.is_redirect:
        require_same_origin(request.url, next_url(response))
    else:
        _require_api(response)
    hide_tokens_in(response)
    return response


def _timeout(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return min(value, silence())
    return (min(_CONNECT, silence()), silence()) if value is None else value


def _within(seconds: float, work: Callable[[], Any], url: str) -> Any:
    """Return the result of `work`, or raise its exception; raise `HpsError` if it takes longer than `seconds`.

    It runs in a thread that is abandoned then: the timeout of a socket starts again with every byte.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
            outcome.put((None, error))

    threading.Thread(target=run, name="hps-request", daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise too_slow(url) from None
    if error is not None:
        raise error
    return result


def _answer(send: Callable[[], Any], request: Any, deadline: float) -> Any:
    """Return the response; retry if the server is busy, after the delay that it requests, up to `silence`."""
    for pause in (*_PAUSES, None):
        response = send()
        if response.status_code not in BUSY or request.method not in _IDEMPOTENT or pause is None:
            break
        asked = response.headers.get("Retry-After", "")
        wait = min(max(pause, float(asked) if asked.isdecimal() else 0.0), silence())
        if time.monotonic() + wait > deadline:
            break
        response.close()
        time.sleep(wait)
    return response


def _read(response: Any, deadline: float) -> None:
    """Read the body of `response` within limits and store it for the client."""
    # Each encoding multiplies the size; HPS does not use two.
    if "," in response.headers.get("Content-Encoding", ""):
        response.close()
        raise HpsError(shown_origin(response.url), "an answer is compressed more than once", CHECK_URL)
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > LARGEST or time.monotonic() > deadline:
            response.close()
            raise too_large(response.url) if len(content) > LARGEST else too_slow(response.url)
    response._content = bytes(content)  # noqa: SLF001 - read by the property `content`


def _require_api(response: Any) -> None:
    """Raise `HpsError` if a web page answers instead of the API."""
    start = response.content[:_CHUNK].lstrip().lower()
    kind = response.headers.get("Content-Type", "").lower()
    markup = kind.startswith(("text/html", "application/xhtml")) and start.startswith(b"<")
    page = markup or start.startswith((b"<!doctype", b"<html"))
    if page and (response.ok or response.status_code == _NOT_FOUND):
        address = f"{shown_origin(response.url)}{urlsplit(response.url).path}"
        raise HpsError(address, "answers with a web page instead of HPS's API", CHECK_URL)
