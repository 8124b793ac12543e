"""Commands about jobs on HPS."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.show import HELP, follow, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansys.hps.client import Client

    from bundler.hps.connection import Account
    from bundler.submission import Submission

_PATH = click.Path(path_type=Path)
_STUCK = 60.0


def _with_account(command: Callable[..., None]) -> Callable[..., None]:
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
        account = _account(url, username, password_stdin=password_stdin, ca_bundle=ca_bundle, insecure=insecure)
        command(*args, account=account, **options)

    return with_account


def _account(
    url: str | None, username: str | None, *, password_stdin: bool, ca_bundle: str | None, insecure: bool
) -> Account:
    from urllib.parse import urlsplit

    from bundler.hps.connection import Account

    if not url:
        raise click.UsageError("Where is HPS? Give --url, or set HPS_URL.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise click.BadParameter("must be like https://host:8443/hps, without a password", param_hint="--url")
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


def _identified(account: Account) -> Account:
    """Return `account` with what is missing of it: tokens that are kept, or what the person types."""
    from dataclasses import replace

    from bundler.hps.connection import kept_tokens

    if account.access_token or account.refresh_token or (account.username and account.password):
        return account
    kept = {} if account.username else kept_tokens(account.url)
    if kept:
        return replace(account, refresh_token=kept["refresh_token"], storage=kept["storage"])
    if sys.stdin.isatty():
        username = account.username or click.prompt("HPS user", err=True)
        return replace(account, username=username, password=click.prompt("Password", hide_input=True, err=True))
    return account


def _submission_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options that say how the scripts of a publication run as jobs, as `options`."""

    @click.option(
        "--script",
        "scripts",
        metavar="NAME",
        multiple=True,
        help="Which script; repeated, the steps of each job in turn. All in the order of bundling if not given.",
    )
    @click.option(
        "--application", metavar="NAME", help="What uv is registered as; uv if not given, none if nodes need none."
    )
    @click.option(
        "--software", metavar="NAME[=VERSION]", multiple=True, help="Other software that the jobs need. Repeatable."
    )
    @click.option(
        "--input", "inputs", metavar="FILE", multiple=True, type=_PATH, help="An input file of every job. Repeatable."
    )
    @click.option(
        "--output", "outputs", metavar="NAME", multiple=True, help="A file that every job must leave. Repeatable."
    )
    @click.option("--environment", metavar="NAME=VALUE", multiple=True, help="A variable for the jobs. Repeatable.")
    @click.option(
        "--cores", type=click.FloatRange(min=0, min_open=True), help="Cores of a job; 1 if nothing says otherwise."
    )
    @click.option("--memory", metavar="SIZE", help="Memory of a job, such as 512 MB.")
    @click.option("--disk", metavar="SIZE", help="Disk of a job, such as 2 GB; enough for its packages if not given.")
    @click.option("--timeout", metavar="TIME", help="How long a job may take, such as 90 min.")
    @click.option(
        "--trials", type=click.IntRange(min=1), help="How often a job is tried; once if nothing says otherwise."
    )
    @functools.wraps(command)
    def with_options(*args: Any, **given: Any) -> None:
        from bundler.quantity import parse_duration, parse_size
        from bundler.submission import Options

        own = {
            name: given.pop(name)
            for name in ("scripts", "application", "software", "inputs", "outputs", "cores", "trials")
        }
        for name, parse in (("memory", parse_size), ("disk", parse_size), ("timeout", parse_duration)):
            text = given.pop(name)
            try:
                own[name] = None if text is None else parse(text)
            except ValueError as fault:
                raise click.BadParameter(str(fault), param_hint=f"--{name}") from fault
        pairs = [text.partition("=") for text in given.pop("environment")]
        if not all(name and equals for name, equals, _ in pairs):
            raise click.BadParameter("must be NAME=VALUE", param_hint="--environment")
        command(*args, options=Options(**own, environment={name: value for name, _, value in pairs}), **given)

    return with_options


@click.command("submit", no_args_is_help=True, context_settings=HELP)
@click.argument("publication", type=_PATH)
@click.option("-j", "--num-jobs", type=click.IntRange(min=1), help="So many jobs, all alike; 1 if not given.")
@click.option(
    "--params",
    "table",
    metavar="FILE",
    type=_PATH,
    help="One job for each row of a CSV file or a JSON list of objects.",
)
@click.option(
    "--sweep",
    "sweeps",
    metavar="SWEEP",
    multiple=True,
    help="One job for each value, x=0:10:0.5 or x=1,2,5. Repeated: for each combination.",
)
@_submission_options
@click.option("--name", metavar="NAME", help="Of the HPS project; the publication's, with the time, if not given.")
@click.option("--replace", is_flag=True, help="Delete the HPS project of that name first, with its results.")
@click.option("--force", is_flag=True, help="Submit also where no evaluator has what the jobs need.")
@click.option("--wait", is_flag=True, help="Watch the jobs until all are done; fail if one fails.")
@_with_account
def submit(
    publication: Path,
    num_jobs: int | None,
    table: Path | None,
    sweeps: tuple[str, ...],
    options: Any,
    name: str | None,
    replace: bool,
    force: bool,
    wait: bool,
    account: Account,
) -> None:
    """Submit jobs that run the scripts of PUBLICATION on HPS, offline. Prints the id of the HPS project.

    What the jobs need and leave may stand in the scripts, in [tool.bundler]; the options win.

    \b
    Example:
        submit-jobs /shared/store/publications/eval-0123456789ab --sweep frequency=0.5:5:0.5 --wait
    """
    from datetime import datetime, timezone

    from bundler import design
    from bundler.submission import compose

    if sum(map(bool, (num_jobs, table, sweeps))) > 1:
        raise click.UsageError("Give one of --num-jobs, --params and --sweep.")
    rows = design.read_table(table) if table else design.sweep(sweeps) if sweeps else [{} for _ in range(num_jobs or 1)]
    submission = compose(publication, rows, options)

    from bundler.hps.connection import connected
    from bundler.hps.project import page
    from bundler.hps.project import submit as create

    name = name or f"{submission.publication} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S}"
    with connected(_identified(account)) as client:
        try:
            _require_somewhere(client, submission)
        except Exception as fault:
            from bundler.hps.errors import NowhereToRun

            if not (force and isinstance(fault, NowhereToRun)):
                raise
            say(f"warning: {fault}")
        project = follow(create(client, submission, name, replace=replace))
        say(f"HPS project {name!r}, {len(rows)} jobs: {page(client, project)}")
        click.echo(project)
        if wait:
            sys.stdout.flush()
            _watch(client, project, 1.0)


def _require_somewhere(client: Client, submission: Submission) -> None:
    from bundler.hps.resources import require_somewhere, survey

    applications = [*([submission.application] if submission.application else []), *submission.steps[0].software]
    applications += [each for step in submission.steps[1:] for each in step.software]
    require_somewhere(client, list(dict.fromkeys(applications)), submission.platforms, survey(client))


def _watch(client: Client, project: str, interval: float) -> None:
    """Show how the jobs fare until all are done; raise `JobsFailed` if not all succeeded."""
    from bundler.hps.errors import JobsFailed
    from bundler.hps.watch import last_lines, watch

    lively = sys.stderr.isatty()
    shown, warned = "", False
    try:
        for status in watch(client, project, interval):
            text = ", ".join(f"{count} {state}" for state, count in status.counts.items())
            if status.failed and lively:
                say("")
            names = {identity: f"{name} {state}" for identity, name, state in status.failed}
            for identity, lines in last_lines(client, project, list(names)):
                say("\n  ".join([f"{names[identity]}; its last lines:", *lines]))
            if lively:
                click.echo(f"\r{text}\033[K", nl=False, err=True)
            elif text != shown:
                say(text)
            shown = text
            if status.stuck > _STUCK and not warned:
                warned = True
                newline = "\n" if lively else ""
                say(f"{newline}warning: jobs have been pending for {status.stuck:.0f} s, and none runs.")
                say("`bundler hps check` tells whether any evaluator fits.")
    except KeyboardInterrupt:
        say(f"\nThe jobs go on. Come back with: bundler hps watch {project}")
        raise
    if lively and shown:
        say("")
    if set(status.counts) - {"evaluated"}:
        raise JobsFailed(status.counts)


@click.group(context_settings=HELP)
def hps() -> None:
    """Check, watch and fetch jobs on HPS, and set HPS up for them.

    \b
    Example:
        bundler hps watch PROJECT
    """


@hps.command("check", no_args_is_help=True, context_settings=HELP)
@click.argument("publication", type=_PATH)
@_submission_options
@_with_account
def check_hps(publication: Path, options: Any, account: Account) -> None:
    """Say whether HPS has evaluators on which the jobs of PUBLICATION could run. Prints those that are there.

    \b
    Example:
        bundler hps check /shared/store/publications/eval-0123456789ab
    """
    from bundler.submission import compose

    submission = compose(publication, [{}], options, values=False)

    from bundler.hps.connection import connected
    from bundler.hps.resources import survey

    with connected(_identified(account)) as client:
        for resource in survey(client):
            names = ", ".join(" ".join(filter(None, app[:2])) for app in resource.applications)
            click.echo(f"{resource.kind}\t{resource.name}\t{resource.platform or ''}\t{names}")
        _require_somewhere(client, submission)


@hps.command("watch", no_args_is_help=True, context_settings=HELP)
@click.argument("project")
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between questions."
)
@_with_account
def watch_jobs(project: str, interval: float, account: Account) -> None:
    """Show how the jobs of the HPS project with the id PROJECT fare, until all are done; fail if one failed.

    \b
    Example:
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC
    """
    from bundler.hps.connection import connected

    with connected(_identified(account)) as client:
        _watch(client, project, interval)


@hps.command("fetch", no_args_is_help=True, context_settings=HELP)
@click.argument("project")
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Where to; a folder named PROJECT if not given.")
@_with_account
def fetch_results(project: str, output: Path | None, account: Account) -> None:
    """Download what the jobs of PROJECT left, a folder for each, and one table of parameters and results.

    What is there whole already is not downloaded again. Prints the path of the table.

    \b
    Example:
        bundler hps fetch 02qtyJfpfAQ0fr3zkoIAfC -o results
    """
    from bundler.hps.connection import connected
    from bundler.hps.results import fetch

    with connected(_identified(account)) as client:
        count, table = follow(fetch(client, project, output or Path(project)))
    say(f"{count} files")
    click.echo(table)


@hps.command("retry", no_args_is_help=True, context_settings=HELP)
@click.argument("project")
@click.option("--wait", is_flag=True, help="Watch the jobs until all are done; fail if one fails.")
@_with_account
def retry_jobs(project: str, wait: bool, account: Account) -> None:
    """Run the jobs of PROJECT that failed, timed out or were aborted again. Prints how many.

    \b
    Example:
        bundler hps retry 02qtyJfpfAQ0fr3zkoIAfC --wait
    """
    from bundler.hps.connection import connected
    from bundler.hps.project import retry
    from bundler.hps.watch import FAILED

    with connected(_identified(account)) as client:
        click.echo(retry(client, project, FAILED))
        if wait:
            sys.stdout.flush()
            _watch(client, project, 1.0)


@hps.command("register", context_settings=HELP)
@click.option("--executable", metavar="PATH", required=True, help="uv, as evaluators see it.")
@click.option("--cache", metavar="DIR", required=True, help="UV_CACHE_DIR: a folder on a local disk of the nodes.")
@click.option("--name", default="uv", show_default=True, help="What it is registered as.")
@click.option("--uv-version", metavar="VERSION", default="0.6.14", show_default=True, help="The version of that uv.")
@click.option("--apply", is_flag=True, help="Change the registration of every evaluator, after showing how and asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_with_account
def register_uv(
    executable: str, cache: str, name: str, uv_version: str, apply: bool, yes: bool, account: Account
) -> None:
    """Show what the registration of uv on the evaluators should be, and with --apply make it so.

    Compute resource sets can only be changed in the web interface; the values are the same. Prints the evaluators.

    \b
    Example:
        bundler hps register --executable /ansys_inc/uv/bin/uv --cache /tmp/scratch/uv_cache
    """
    from bundler.hps.connection import connected
    from bundler.hps.resources import differences, register, registration

    wanted = registration(name, uv_version, executable, cache)
    for key, value in wanted.items():
        say(f"{key}: {value}")
    with connected(_identified(account)) as client:
        changes = differences(client, wanted)
        for evaluator, lines, _ in changes.values():
            say("\n  ".join([f"evaluator {evaluator} would change:", *lines]))
        if not changes:
            say("Every evaluator that is alive has it so.")
        if changes and apply and (yes or click.confirm("Change them?", err=True)):
            for identity, (evaluator, _, applications) in changes.items():
                register(client, identity, applications)
                click.echo(evaluator)


@hps.command("template", no_args_is_help=True, context_settings=HELP)
@click.argument("publication", type=_PATH)
@_submission_options
@click.option("--name", metavar="NAME", help="Of the template; 'Offline uv script: PUBLICATION' if not given.")
@click.option("--for-anyone", is_flag=True, help="Let everybody on this HPS use it, not only your organization.")
@_with_account
def template(publication: Path, options: Any, name: str | None, for_anyone: bool, account: Account) -> None:
    """Make a task definition template of PUBLICATION, which others pick in the web interface. Prints its id.

    \b
    Example:
        bundler hps template /shared/store/publications/eval-0123456789ab --name "Plot a sine, offline"
    """
    from bundler.submission import compose

    submission = compose(publication, [{}], options, values=False)

    from bundler.hps.connection import connected
    from bundler.hps.template import create_template

    with connected(_identified(account)) as client:
        name = name or f"Offline uv script: {submission.publication}"
        click.echo(create_template(client, submission, name, for_anyone=for_anyone))


@hps.command("login", context_settings=HELP)
@click.option(
    "--store",
    type=click.Choice(["keyring", "disk"]),
    default="keyring",
    show_default=True,
    help="Where the client keeps the tokens: the system's keyring, or a file in HOME that only you may read.",
)
@_with_account
def login(store: str, account: Account) -> None:
    """Log in with the browser, once; later commands need no password.

    \b
    Example:
        bundler hps login --url https://host:8443/hps
    """
    from bundler.hps.connection import log_in

    log_in(account, store)
    say(f"Logged in to {account.url}; the tokens are kept by {store}.")
