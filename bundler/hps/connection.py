"""Connect to HPS with its client, and explain its errors."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import requests
from ansys.hps.client import Client
from ansys.hps.client.check_version import JMS_VERSIONS, HpsRelease

from bundler.errors import BundlerError
from bundler.hps.errors import HpsError, no_account
from bundler.hps.redaction import hide, plain
from bundler.hps.session import BUSY, CHECK_URL, guard, guard_logins, silence
from bundler.hps.worker import stop_worker

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The first release to which files can be uploaded.
_OLDEST = HpsRelease.v1_2_0
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
# Characters of an unexpected answer that are shown.
_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The URL and login of HPS; secrets do not appear in its repr. `storage` is where the client keeps tokens."""

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
    """Log in and yield the client; stop what it started at the end. Raises `HpsError`, `BundlerError`."""
    client = _connect(account)
    try:
        yield client
    finally:
        stop_worker(client)


def _connect(account: Account) -> Client:
    silence()  # Reports an invalid HPS_TIMEOUT early.
    trust(account)
    for name in ("ansys", "httpx"):
        # Both would log what we report ourselves.
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    guard_logins()
    hide(account.password, account.access_token, account.refresh_token)
    secrets = _secrets(account)
    verify: bool | str = account.ca_bundle or not account.insecure
    with explained(account.url):
        client = Client(
            account.url,
            account.username,
            verify=verify,
            token_storage=account.storage,
            **secrets,
        )
        hide(client.access_token, client.refresh_token)
        guard(client.session)
        return client


def _secrets(account: Account) -> dict[str, str | None]:
    """Return what proves who logs in, as arguments of the client. Raises `BundlerError` if there is nothing."""
    if account.username and account.password and not account.access_token:
        return {"password": account.password}
    if account.access_token or account.refresh_token:
        return {"access_token": account.access_token, "refresh_token": account.refresh_token}
    raise no_account()


@contextlib.contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn exceptions of the client in the block into an `HpsError` about `subject`."""
    try:
        yield
    except (BundlerError, AssertionError):
        raise
    except requests.exceptions.RequestException as error:
        fact, hint = _failure(error)
        raise HpsError(subject, fact, hint, status=_status_of(error)) from error
    except OSError as error:
        raise HpsError(subject, f"the HPS client failed on this machine ({error})") from error
    except Exception as error:  # A client that trusts its server may raise anything.
        raise HpsError(subject, *_surprise(error)) from error


def _surprise(error: Exception) -> tuple[str, str]:
    """Return the cause of an error that the client does not explain, and a hint."""
    words = f"{type(error).__name__}: {plain(error)[:_SHOWN]}"
    if isinstance(error, RuntimeError):
        # The client includes the status and the whole answer in this error.
        status = re.search(r"status code (\d{3})", str(error))
        if status:
            if int(status[1]) in BUSY:
                return _status(int(status[1]), "")
            words = f"status {status[1]}"
    return f"does not answer like HPS ({words})", CHECK_URL


def _failure(error: requests.exceptions.RequestException) -> tuple[str, str]:
    """Return the cause of a failed request, and a hint."""
    if isinstance(error, requests.exceptions.SSLError):
        hint = "give the site's CA certificates with --ca-bundle FILE, or use --insecure"
        return f"its certificate is not trusted ({_innermost(error)})", hint
    unreachable = isinstance(error, requests.exceptions.ConnectionError)
    if isinstance(error, requests.exceptions.Timeout) or (
        unreachable and "timed out" in str(error)
    ):
        return f"did not answer within {silence():g} s", "try again, or ask the administrator"
    if unreachable:
        return f"cannot be reached ({_innermost(error)})", "check the URL and the network"
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return "does not answer like HPS (an answer is not JSON)", CHECK_URL
    if type(error).__name__ == "VersionCompatibilityError":
        return f"is too old ({plain(error)})", f"use HPS {_release_of(str(error))} or newer"
    message = getattr(error, "description", None) or getattr(error, "reason", None) or error
    reason = plain(message)[:_SHOWN]
    return _status(_status_of(error), reason)


def _release_of(text: str) -> str:
    """Return the release of HPS that has the version of JMS at the end of `text`, which HPS's users do not know."""
    needed = text.rpartition(" ")[2]
    for release, version in JMS_VERSIONS.items():
        if version == needed:
            return str(release.value)
    return str(_OLDEST.value)


def _status_of(error: requests.exceptions.RequestException) -> int:
    """Return the status of the answer, or 0 if there was none."""
    return 0 if error.response is None else error.response.status_code


def _status(status: int, reason: str) -> tuple[str, str]:
    """Return the meaning of an HTTP status (0 without an answer), with the server's message, and a hint."""
    if not status:
        return reason, ""
    why = f" ({reason})" if reason else ""
    answer = f"{status} {reason}".strip()
    if status == _UNAUTHORIZED:
        return (
            f"rejected the login{why}",
            "check the user name and password, or log in again: tokens expire",
        )
    if status == _FORBIDDEN:
        return (
            f"does not allow this user to do that{why}",
            "ask the administrator of HPS for permission",
        )
    if status == _NOT_FOUND:
        return f"has no such resource{why}", "check the ID and the URL"
    if status in BUSY:
        return f"is busy or unavailable ({answer})", "try again later"
    return f"failed ({answer})", "try again later, or ask the administrator"


def _innermost(error: BaseException) -> str:
    """Return the innermost message of a nested error."""
    messages = re.findall(
        r"(?:\[Errno -?\d+\] |SSLError\(|SSLCertVerificationError\()([^()\"']+)", str(error)
    )
    if not messages:
        return type(error).__name__
    return str(messages[-1]).strip()


def trust(account: Account) -> None:
    """Configure TLS verification for `account`; environment variables would override what the client is given."""
    if account.ca_bundle or account.insecure:
        for name in _CERTIFICATES:
            os.environ.pop(name, None)
    if account.ca_bundle:
        if not os.path.exists(account.ca_bundle):  # noqa: PTH110 - still text
            raise HpsError(
                account.ca_bundle,
                "does not exist",
                "give the site's CA certificates with --ca-bundle FILE",
            )
        os.environ[_CERTIFICATES[0]] = account.ca_bundle
