"""Connecting to HPS with the public client, and what goes wrong with it in words."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import requests
from ansys.hps.client import Client

from bundler.errors import BundlerError
from bundler.hps.errors import HpsError, no_account
from bundler.hps.guard import BUSY, CHECK_URL, silence
from bundler.hps.redaction import hide, plain
from bundler.hps.session import guard_logins, guard_session
from bundler.hps.worker import stop_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The first release to which files can be uploaded, see JMS_VERSIONS of the client.
_OLDEST = "HPS 1.2.0"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
# Of what a server sends in place of an answer, so many characters tell enough.
_SHOWN = 300


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
    """Log in and yield the client; what it has started ends with the block. Raises `HpsError`, `BundlerError`."""
    client = connect(account)
    try:
        yield client
    finally:
        stop_worker(client)


def connect(account: Account) -> Client:
    """Log in and return the client; raise `HpsError`, `BundlerError`."""
    silence()  # a bad HPS_TIMEOUT is told now
    # The package has a function of the same name.
    guard_logins(import_module("ansys.hps.client.authenticate"))
    trust(account)
    for name in ("ansys", "httpx"):
        # Both log what we say ourselves, and to nobody in particular.
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    hide(account.password, account.access_token, account.refresh_token)
    secrets: dict[str, Any] = {"access_token": account.access_token, "refresh_token": account.refresh_token}
    if not account.access_token and account.username and account.password:
        secrets = {"password": account.password}
    if not any(secrets.values()):
        raise no_account()
    verify: bool | str = account.ca_bundle or not account.insecure
    with explained(account.url):
        client = Client(account.url, account.username, verify=verify, token_storage=account.storage, **secrets)
        guard_session(client.session)
        return client


@contextlib.contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn what the client raises in the block into an `HpsError` about `subject`."""
    try:
        yield
    except (BundlerError, AssertionError):
        raise
    except requests.exceptions.RequestException as fault:
        raise HpsError(subject, *_failure(fault)) from fault
    except OSError as fault:
        raise HpsError(subject, f"its client failed on this machine ({fault})") from fault
    except Exception as fault:  # what a client that trusts its server may come to by what that sends
        # The client says so of where HPS tells of itself, with all that was answered there.
        status = re.search(r"status code (\d{3})", str(fault)) if isinstance(fault, RuntimeError) else None
        if status and int(status[1]) in BUSY:
            raise HpsError(subject, *_status(int(status[1]), "")) from fault
        words = f"status {status[1]}" if status else f"{type(fault).__name__}: {plain(fault)[:_SHOWN]}"
        raise HpsError(subject, f"does not answer as HPS does ({words})", CHECK_URL) from fault


def _failure(fault: requests.exceptions.RequestException) -> tuple[str, str]:
    """Return what went wrong with a request, and what to do."""
    if isinstance(fault, requests.exceptions.SSLError):
        hint = "give the site's certificates with --ca-bundle FILE, or --insecure to accept any"
        return f"its certificate is not trusted ({_innermost(fault)})", hint
    late = isinstance(fault, requests.exceptions.Timeout)
    unreachable = isinstance(fault, requests.exceptions.ConnectionError)
    if late or (unreachable and "timed out" in str(fault)):
        return f"did not answer within {silence():g} s", "try again, or ask the administrator"
    if unreachable:
        return f"cannot be reached ({_innermost(fault)})", "check the URL and the network"
    if isinstance(fault, requests.exceptions.JSONDecodeError):
        return "does not answer as HPS does (an answer is not JSON)", CHECK_URL
    if type(fault).__name__ == "VersionCompatibilityError":
        return f"is too old ({plain(fault)})", f"use {_OLDEST} or newer"
    status = fault.response.status_code if fault.response is not None else 0
    said = plain(getattr(fault, "description", None) or getattr(fault, "reason", None) or fault)[:_SHOWN]
    return _status(status, said) if status else (said, "")


def _status(status: int, said: str) -> tuple[str, str]:
    """Return what an HTTP status means, with what the server said of it, and what to do."""
    why = f" ({said})" if said else ""
    if status == _UNAUTHORIZED:
        return f"refuses this user{why}", "check user and password, or log in again: tokens expire"
    if status == _FORBIDDEN:
        return f"does not allow this user to do that{why}", "ask the administrator of HPS for the right to"
    if status == _NOT_FOUND:
        return f"knows no such thing{why}", "check the id and the URL"
    if status in BUSY:
        return f"is busy or out of order ({f'{status} {said}'.strip()})", "try again later"
    return f"failed ({f'{status} {said}'.strip()})", "try again later, or ask the administrator"


def _innermost(fault: BaseException) -> str:
    """Return the last words of an error that wraps others."""
    found = re.findall(r"(?:\[Errno -?\d+\] |SSLError\(|SSLCertVerificationError\()([^()\"']+)", str(fault))
    return str(found[-1]).strip() if found else type(fault).__name__


def trust(account: Account) -> None:
    """Make requests verify as `account` says: variables of the environment would win over what the client is told."""
    if account.ca_bundle or account.insecure:
        for name in _CERTIFICATES:
            os.environ.pop(name, None)
    if account.ca_bundle:
        if not os.path.exists(account.ca_bundle):  # noqa: PTH110 - a text until here
            raise HpsError(account.ca_bundle, "does not exist", "give the site's certificates with --ca-bundle FILE")
        os.environ[_CERTIFICATES[0]] = account.ca_bundle
