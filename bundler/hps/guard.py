"""Bounds around every request of the HPS client: time, size, redirects, and what is no answer of HPS at all.

Requests and responses are those of the requests library, which `bundler.hps.session` imports.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bundler.hps.errors import HpsError
from bundler.hps.redaction import hide_secrets_of, hide_tokens_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Seconds to connect, and without a byte unless HPS_TIMEOUT says otherwise. The client itself would wait for ever.
_CONNECT, _SILENCE = 10.0, 60.0
# One answer may take this many times as long in all, attempts and pauses included.
_PATIENCE = 10
# Bytes of one answer, decompressed. All fields of 10,000 jobs with their tasks and files are below 100 MB.
LARGEST = 512 << 20
_CHUNK = 1 << 16
BUSY = (429, 502, 503, 504)
# Seconds before each further attempt where a server is busy.
_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
# Requests that have the same effect when they are sent twice (RFC 9110, 9.2.2).
_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
_NOT_FOUND = 404
_PORTS = {"http": 80, "https": 443}
CHECK_URL = "check the URL; that of HPS is like https://host:8443/hps"


def silence() -> float:
    """Return for how many seconds HPS may say nothing; raise `HpsError` where HPS_TIMEOUT is no number of seconds."""
    text = os.environ.get("HPS_TIMEOUT") or str(_SILENCE)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise HpsError("HPS_TIMEOUT", f"{text!r} is not a positive number", "give a number of seconds, such as 60")


def limit() -> float:
    """Return how many seconds one answer may take in all."""
    return _PATIENCE * silence()


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of `url`; raise `ValueError` where the port is none."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme.lower())


def shown_origin(url: str) -> str:
    """Return scheme, host and port of `url` for people; nothing else of it, which may hold secrets."""
    try:
        scheme, host, port = origin(url)
    except ValueError:
        return "an address that cannot be read"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port is None or port == _PORTS.get(scheme) else f":{port}")


def require_same_origin(url: str, target: str) -> None:
    """Raise `HpsError` unless `target`, to which `url` redirects, has the same scheme, host and port."""
    with contextlib.suppress(ValueError):
        if origin(url) == origin(target):
            return
    raise HpsError(
        shown_origin(url),
        f"the server redirects to another one, {shown_origin(target)}, and nothing was sent there",
        "if HPS has moved there, give its new URL; if not, tell the administrator",
    )


def too_large(url: str) -> HpsError:
    """Return the failure of an answer from `url` that has more than `LARGEST` bytes."""
    return HpsError(
        shown_origin(url),
        f"an answer is larger than {LARGEST >> 20} MiB",
        "tell the administrator of HPS, or check the URL",
    )


def too_slow(url: str) -> HpsError:
    """Return the failure of an answer from `url` that took longer than `limit`."""
    return HpsError(
        shown_origin(url),
        f"an answer was not complete after {limit():g} s",
        f"try again, or raise HPS_TIMEOUT: an answer may take {_PATIENCE} times as many seconds",
    )


def exchange(send: Callable[..., Any], request: Any, options: Mapping[str, Any], next_url: Callable[[Any], str]) -> Any:
    """Return the response to `request` of requests that `send` gets with the `options` of an adapter, within bounds.

    `next_url` says where a response redirects to.
    Raises `HpsError` for an answer that is too large, too slow or not of the API, or that leads to another server.
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


def _timeout(given: Any) -> Any:
    if isinstance(given, (int, float)):
        return min(given, silence())
    return (min(_CONNECT, silence()), silence()) if given is None else given


def _within(seconds: float, work: Callable[[], Any], url: str) -> Any:
    """Return what `work` returns; raise what it raises, and `HpsError` where it takes longer than `seconds`.

    It runs in a thread that is abandoned then: timeouts of sockets begin anew with every byte, also in headers.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as fault:  # noqa: BLE001 - it is raised where it is waited for
            outcome.put((None, fault))

    threading.Thread(target=run, name="hps-request", daemon=True).start()
    try:
        result, fault = outcome.get(timeout=seconds)
    except queue.Empty:
        raise too_slow(url) from None
    if fault is not None:
        raise fault
    return result


def _answer(send: Callable[[], Any], request: Any, deadline: float) -> Any:
    """Return the response; a busy server is asked again, after as long as it says within `silence`."""
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
    """Read the body of `response` within bounds; the client finds it there."""
    # Each coding multiplies the size; none of the services uses two.
    if "," in response.headers.get("Content-Encoding", ""):
        response.close()
        raise HpsError(shown_origin(response.url), "an answer is compressed more than once", CHECK_URL)
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > LARGEST or time.monotonic() > deadline:
            response.close()
            raise too_large(response.url) if len(content) > LARGEST else too_slow(response.url)
    response._content = bytes(content)  # noqa: SLF001 - where the property `content` looks first


def _require_api(response: Any) -> None:
    """Raise `HpsError` where a web page answers in place of the API."""
    start = response.content[:_CHUNK].lstrip().lower()
    kind = response.headers.get("Content-Type", "").lower()
    markup = kind.startswith(("text/html", "application/xhtml")) and start.startswith(b"<")
    page = markup or start.startswith((b"<!doctype", b"<html"))
    if page and (response.ok or response.status_code == _NOT_FOUND):
        address = f"{shown_origin(response.url)}{urlsplit(response.url).path}"
        raise HpsError(address, "the address answers with a web page instead of HPS's API", CHECK_URL)
