"""Connecting to HPS with the public client, and what goes wrong with it in words."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import requests
from ansys.hps.client import Client
from requests.adapters import HTTPAdapter

from bundler.errors import BundlerError
from bundler.hps.errors import HpsFault, NoAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds to connect, and without a byte unless HPS_TIMEOUT says otherwise. The client itself would wait for ever.
_CONNECT, _SILENCE = 10.0, 60.0
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The first release to which files can be uploaded, see JMS_VERSIONS of the client.
_OLDEST = "HPS 1.2.0"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where HPS is and who logs in; secrets stay out of its repr. `storage` is where the client keeps tokens."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    storage: str = "memory"
    ca_bundle: str | None = None
    insecure: bool = False


@contextlib.contextmanager
def connected(account: Account) -> Iterator[Client]:
    """Log in and yield the client; what it has started ends with the block. Raises `HpsFault`, `NoAccount`."""
    client = connect(account)
    try:
        yield client
    finally:
        stop_worker(client)


def stop_worker(client: Client) -> None:
    """Stop the transfer worker if there is one.

    The client does it at a regular exit only, would leave its worker behind at an interrupt, and where the worker does
    not listen yet it ends no more than the shell that started it.
    """
    worker = client._dt_client  # noqa: SLF001 - asking for it by its public name starts one
    if worker is None:
        return
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error, AttributeError):
        shell = psutil.Process(worker.binary._process.pid)  # noqa: SLF001 - nothing else tells
        family = [*shell.children(recursive=True), shell]
    with contextlib.suppress(Exception):
        worker.stop(wait=1.0)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
    # A half-made client would make the next attempt fail in another way.
    client._dt_client = None  # noqa: SLF001 - it has no way to start again


def connect(account: Account) -> Client:
    """Log in and return the client; raise `HpsFault`, `NoAccount`."""
    _wait_not_for_ever()
    _trust(account)
    for name in ("ansys", "httpx"):
        # Both log what we say ourselves, and to nobody in particular.
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    secrets: dict[str, Any] = {"access_token": account.access_token, "refresh_token": account.refresh_token}
    if not account.access_token and account.username and account.password:
        secrets = {"password": account.password}
    if not any(secrets.values()):
        raise NoAccount
    verify: bool | str = account.ca_bundle or not account.insecure
    with explained(account.url):
        client = Client(account.url, account.username, verify=verify, token_storage=account.storage, **secrets)
        for adapter in client.session.adapters.values():
            # What is not answered once is not asked five times more.
            adapter.max_retries = adapter.max_retries.new(read=1)
        return client


def log_in(account: Account, storage: str) -> None:
    """Log in with the browser and keep the tokens in `storage` (keyring or disk); raise `HpsFault`."""
    from ansys.hps.client.auth.api.oidc_login import browser_login, save_tokens

    _wait_not_for_ever()
    _trust(account)
    with explained(account.url):
        tokens = browser_login(account.url, verify_ssl=account.ca_bundle or not account.insecure)
        save_tokens(tokens, account.url, storage=storage)


def kept_tokens(url: str) -> dict[str, str]:
    """Return the tokens that `log_in` kept for `url`, and as `storage` where; nothing if there are none."""
    from ansys.hps.client.auth.api.oidc_login import load_tokens

    for storage in ("keyring", "disk"):
        tokens: dict[str, Any] | None = None
        with contextlib.suppress(Exception):  # a keyring may fail in any way of its backend's
            tokens = load_tokens(storage)
        if tokens and tokens.get("refresh_token") and tokens.get("hps_url", url).rstrip("/") == url.rstrip("/"):
            return {"refresh_token": str(tokens["refresh_token"]), "storage": storage}
    return {}


@contextlib.contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn what the client raises in the block into an `HpsFault` about `subject`."""
    try:
        yield
    except BundlerError:
        raise
    except requests.exceptions.SSLError as fault:
        raise HpsFault(
            subject,
            f"its certificate is not trusted ({_innermost(fault)})",
            "Give the site's certificates with --ca-bundle FILE, or --insecure to take any.",
        ) from fault
    except requests.exceptions.RetryError as fault:
        raise HpsFault(subject, "is busy or out of order (it says 502, 503 or 504)", "Try again later.") from fault
    except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as fault:
        if isinstance(fault, requests.exceptions.Timeout) or "timed out" in str(fault):
            fact = f"did not answer within {silence():g} s"
            raise HpsFault(subject, fact, "Try again, or ask the administrator.") from fault
        raise HpsFault(subject, f"cannot be reached ({_innermost(fault)})", "Check the URL and the network.") from fault
    except requests.exceptions.RequestException as fault:
        raise HpsFault(subject, *_refusal(fault)) from fault
    except OSError as fault:
        raise HpsFault(subject, f"its client failed on this machine ({fault})") from fault
    except AssertionError:
        raise
    except Exception as fault:  # what a client that trusts its server may come to by what that sends
        raise HpsFault(
            subject,
            f"does not answer as HPS does ({type(fault).__name__}: {str(fault)[:300]})",
            "Is this the URL of HPS, such as https://host:8443/hps?",
        ) from fault


def _refusal(fault: requests.exceptions.RequestException) -> tuple[str, str]:
    status = fault.response.status_code if fault.response is not None else 0
    words = " ".join(str(fault).split())
    description = getattr(fault, "description", None) or getattr(fault, "reason", None)
    said = str(description or words)
    if type(fault).__name__ == "VersionCompatibilityError":
        return f"is too old ({words})", f"This needs {_OLDEST} or newer."
    if status == _UNAUTHORIZED:
        return f"refuses this user ({said})", "Check user and password, or log in again: tokens expire."
    if status == _FORBIDDEN:
        return f"does not allow this user to do that ({said})", "The administrator of HPS gives the right to."
    if status == _NOT_FOUND:
        return f"knows no such thing ({said})", "Check the id."
    return (f"failed ({status} {said})", "Try again later, or ask the administrator.") if status else (words, "")


def _innermost(fault: BaseException) -> str:
    """Return the last words of an error that wraps others."""
    found = re.findall(r"(?:\[Errno -?\d+\] |SSLError\(|SSLCertVerificationError\()([^()\"']+)", str(fault))
    return str(found[-1]).strip() if found else type(fault).__name__


def _trust(account: Account) -> None:
    """Make requests verify as `account` says: variables of the environment would win over what the client is told."""
    if account.ca_bundle or account.insecure:
        for name in _CERTIFICATES:
            os.environ.pop(name, None)
    if account.ca_bundle:
        if not os.path.exists(account.ca_bundle):  # noqa: PTH110 - a text until here
            raise HpsFault(account.ca_bundle, "is not there", "Give the site's certificates with --ca-bundle FILE.")
        os.environ[_CERTIFICATES[0]] = account.ca_bundle


def silence() -> float:
    """Return for how many seconds HPS may say nothing."""
    text = os.environ.get("HPS_TIMEOUT") or str(_SILENCE)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise HpsFault("HPS_TIMEOUT", f"is {text!r}", "Give a number of seconds.")


_patching = threading.Lock()


def _wait_not_for_ever() -> None:
    """Give every request of this process a timeout: the client sets none, and has no way to be given one."""
    with _patching:
        send = HTTPAdapter.send
        if getattr(send, "patient", False):
            return

        timeout = (min(_CONNECT, silence()), silence())

        def sent(self: HTTPAdapter, *args: Any, **options: Any) -> requests.Response:
            if options.get("timeout") is None:
                options["timeout"] = timeout
            return send(self, *args, **options)

        sent.patient = True  # type: ignore[attr-defined]
        HTTPAdapter.send = sent  # type: ignore[method-assign]
