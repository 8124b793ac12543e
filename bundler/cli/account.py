"""Where HPS is and who logs in: options, variables, kept tokens, a prompt."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.show import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.hps.connection import Account


def with_account(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options that say where HPS is and who logs in, as one `account`."""

    @click.option(
        "--url", metavar="URL", envvar="HPS_URL", help="HPS, such as https://host:8443/hps; HPS_URL if not given."
    )
    @click.option("--username", metavar="NAME", envvar="HPS_USERNAME", help="HPS_USERNAME if not given.")
    @click.option(
        "--password-stdin", is_flag=True, help="Read the password from standard input instead of HPS_PASSWORD."
    )
    @click.option("--ca-bundle", metavar="FILE", help="Certificates that vouch for HPS, instead of the system's.")
    @click.option("--insecure", is_flag=True, help="Take any certificate. Whoever is in between reads and changes all.")
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
        account = account_of(url, username, password_stdin=password_stdin, ca_bundle=ca_bundle, insecure=insecure)
        command(*args, account=account, **options)

    return with_account


def account_of_environment() -> Account:
    """Return the account that HPS_URL and the other variables say, asking for what is missing."""
    return identified(account_of(os.environ.get("HPS_URL"), os.environ.get("HPS_USERNAME")))


def account_of(
    url: str | None,
    username: str | None,
    *,
    password_stdin: bool = False,
    ca_bundle: str | None = None,
    insecure: bool = False,
) -> Account:
    """Return the account at `url`; raise `UsageError` and `BadParameter` for what can be none."""
    from urllib.parse import urlsplit

    from bundler.hps.connection import Account

    if not url:
        raise click.UsageError("Where is HPS? Give --url, or set HPS_URL.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise click.BadParameter(
            "must be like https://host:8443/hps, and hold no password", param_hint="--url or HPS_URL"
        )
    if insecure:
        say("warning: --insecure: whoever is between here and HPS can read and change everything")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else os.environ.get("HPS_PASSWORD")
    return Account(
        url=url.rstrip("/"),
        username=username,
        password=password,
        access_token=os.environ.get("HPS_ACCESS_TOKEN"),
        refresh_token=os.environ.get("HPS_REFRESH_TOKEN"),
        ca_bundle=ca_bundle,
        insecure=insecure,
    )


def identified(account: Account) -> Account:
    """Return `account` with what is missing of it: tokens that are kept, or what the person types."""
    from dataclasses import replace

    from bundler.hps.login import kept_tokens

    if account.access_token or account.refresh_token or (account.username and account.password):
        return account
    kept = {} if account.username else kept_tokens(account.url)
    if kept:
        return replace(account, refresh_token=kept["refresh_token"], storage=kept["storage"])
    if sys.stdin.isatty():
        username = account.username or click.prompt("HPS user", err=True)
        return replace(account, username=username, password=click.prompt("Password", hide_input=True, err=True))
    return account
