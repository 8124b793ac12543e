"""Where HPS is and who logs in: options, environment variables, stored tokens, a prompt."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import click

from bundler.cli.command import flag
from bundler.cli.terminal import warn
from bundler.lazily import lazily

with lazily():
    from bundler.hps import connection, login

ReadAccount: TypeAlias = "Callable[[], connection.Account]"


def with_account(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the URL and login of HPS to `command`; pass on a function that returns the `account`."""

    @click.option("--url", metavar="URL", envvar="HPS_URL", show_envvar=True, help="URL of HPS.")
    @click.option(
        "--username",
        metavar="NAME",
        envvar="HPS_USERNAME",
        show_envvar=True,
        help="HPS user name.",
    )
    @flag("--password-stdin", help="Read the password from standard input instead of HPS_PASSWORD.")
    @click.option(
        "--ca-bundle",
        metavar="FILE",
        help="Trust these CA certificates for HPS instead of the system's.",
    )
    @flag("--insecure", help="Disable TLS certificate verification (insecure).")
    @functools.wraps(command)
    def with_account(
        *args: Any,
        url: str | None,
        username: str | None,
        password_stdin: bool,
        ca_bundle: str | None,
        insecure: bool,
        **options: Any,
    ) -> None:
        # Later, so that a command can check what needs no server first.
        account = functools.partial(
            _account,
            url,
            username,
            password_stdin=password_stdin,
            ca_bundle=ca_bundle,
            insecure=insecure,
        )
        command(*args, account=account, **options)

    return with_account


def account_of_environment() -> connection.Account:
    """Return the account in the HPS environment variables."""
    return _account(os.environ.get("HPS_URL"), os.environ.get("HPS_USERNAME"))


def connected(read_account: ReadAccount) -> AbstractContextManager[Any]:
    """Return the client of `read_account`, whose login is completed with stored tokens or with what the user types."""
    return connection.connected(_identified(read_account()))


def _account(
    url: str | None,
    username: str | None,
    *,
    password_stdin: bool = False,
    ca_bundle: str | None = None,
    insecure: bool = False,
) -> connection.Account:
    """Return the account at `url`. Raises `UsageError` without a URL, `BadParameter` for a malformed one."""
    if not url:
        raise click.UsageError("no HPS URL given; use --url or set HPS_URL")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise click.BadParameter(
            "must look like https://host:8443/hps and must not contain a password",
            param_hint="--url or HPS_URL",
        )
    if insecure:
        warn(
            "TLS certificate verification is disabled: anyone between this machine and HPS can read and change data"
        )
    return connection.Account(
        url=url.rstrip("/"),
        username=username,
        password=_password(stdin=password_stdin),
        access_token=os.environ.get("HPS_ACCESS_TOKEN"),
        refresh_token=os.environ.get("HPS_REFRESH_TOKEN"),
        ca_bundle=ca_bundle,
        insecure=insecure,
    )


def _password(*, stdin: bool) -> str | None:
    """Return the password on standard input or in HPS_PASSWORD, if there is one. Raises `UsageError`."""
    if stdin:
        data = sys.stdin.buffer.readline().rstrip(b"\r\n")
    elif "HPS_PASSWORD" in os.environ:
        data = os.fsencode(os.environ["HPS_PASSWORD"])
    else:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the password is not UTF-8 (byte {error.start + 1})") from error


def _identified(account: connection.Account) -> connection.Account:
    """Return `account`, with stored tokens or, on a terminal, with what the user types where it lacks a login."""
    if account.access_token or account.refresh_token or (account.username and account.password):
        return account
    if not account.username:
        tokens = login.kept_tokens(account.url)
        if tokens:
            return replace(
                account, refresh_token=tokens["refresh_token"], storage=tokens["storage"]
            )
    if not sys.stdin.isatty():
        return account
    username = account.username or click.prompt("HPS user", err=True)
    return replace(
        account, username=username, password=click.prompt("Password", hide_input=True, err=True)
    )
