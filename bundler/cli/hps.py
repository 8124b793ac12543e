"""Commands about HPS and the jobs that are there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.account import identified, with_account
from bundler.cli.jobs import require_somewhere_to_run, show_jobs, with_submission_options
from bundler.cli.show import HELP, say, shown

if TYPE_CHECKING:
    from bundler.hps.connection import Account

_PATH = click.Path(path_type=Path)


@click.group(context_settings=HELP)
def hps() -> None:
    """Check, watch and fetch jobs on HPS, and set HPS up for them.

    \b
    Example:
        bundler hps watch PROJECT
    """


@hps.command("check", no_args_is_help=True, context_settings=HELP)
@click.argument("publication", type=_PATH)
@with_submission_options
@with_account
def check_hps(publication: Path, options: Any, account: Account) -> None:
    """Say whether HPS has evaluators on which the jobs of PUBLICATION could run. Prints those that are there.

    \b
    Example:
        bundler hps check /shared/store/publications/eval-0123456789ab
    """
    from bundler.jobs.submission import compose

    submission = compose(publication, [{}], options, values=False)

    from bundler.hps.connection import connected
    from bundler.hps.redaction import plain
    from bundler.hps.resources import survey

    with connected(identified(account)) as client:
        for resource in survey(client):
            names = ", ".join(" ".join(filter(None, app)) for app in resource.applications or ())
            cells = (resource.kind, resource.name, resource.platform or "", names)
            click.echo("\t".join(map(plain, cells)))
        require_somewhere_to_run(client, submission)


@hps.command("watch", no_args_is_help=True, context_settings=HELP)
@click.argument("project")
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between questions."
)
@with_account
def watch_jobs(project: str, interval: float, account: Account) -> None:
    """Show how the jobs of the HPS project with the id PROJECT fare, until all are done; fail if one failed.

    \b
    Example:
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC
    """
    from bundler.hps.connection import connected

    with connected(identified(account)) as client:
        show_jobs(client, project, interval)


@hps.command("fetch", no_args_is_help=True, context_settings=HELP)
@click.argument("project")
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Where to; a folder named PROJECT if not given.")
@with_account
def fetch_results(project: str, output: Path | None, account: Account) -> None:
    """Download what the jobs of PROJECT left, a folder for each, and one table of parameters and results.

    What is there whole already is not downloaded again. Prints the path of the table.

    \b
    Example:
        bundler hps fetch 02qtyJfpfAQ0fr3zkoIAfC -o results
    """
    from bundler import api
    from bundler.hps.connection import connected

    with connected(identified(account)) as client, shown() as report:
        count, table = api.fetch(client, project, output or Path(project), report=report)
    say(f"{count} files")
    click.echo(table)


@hps.command("retry", no_args_is_help=True, context_settings=HELP)
@click.argument("project")
@click.option("--wait", is_flag=True, help="Watch the jobs until all are done; fail if one fails.")
@with_account
def retry_jobs(project: str, wait: bool, account: Account) -> None:
    """Run the jobs of PROJECT that failed, timed out or were aborted again. Prints how many.

    \b
    Example:
        bundler hps retry 02qtyJfpfAQ0fr3zkoIAfC --wait
    """
    from bundler.hps.connection import connected
    from bundler.hps.project import retry
    from bundler.hps.watch import FAILED

    with connected(identified(account)) as client:
        click.echo(retry(client, project, FAILED))
        if wait:
            sys.stdout.flush()
            show_jobs(client, project, 1.0)


@hps.command("register", context_settings=HELP)
@click.option("--executable", metavar="PATH", required=True, help="uv, as evaluators see it.")
@click.option("--cache", metavar="DIR", required=True, help="UV_CACHE_DIR: a folder on a local disk of the nodes.")
@click.option("--name", default="uv", show_default=True, help="What it is registered as.")
@click.option("--uv-version", metavar="VERSION", required=True, help="The version of that uv.")
@click.option(
    "--evaluator",
    "evaluators",
    metavar="NAME",
    multiple=True,
    help="Which evaluators; all that have such paths if not given.",
)
@click.option("--apply", is_flag=True, help="Change the registration of every evaluator, after showing how and asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_account
def register_uv(
    executable: str,
    cache: str,
    name: str,
    uv_version: str,
    evaluators: tuple[str, ...],
    apply: bool,
    yes: bool,
    account: Account,
) -> None:
    """Show what the registration of uv on the evaluators should be, and with --apply make it so.

    Compute resource sets can only be changed in the web interface; the values are the same. Prints the evaluators.

    \b
    Example:
        bundler hps register --executable /ansys_inc/uv/bin/uv --uv-version 0.13.9 --cache /tmp/scratch/uv_cache
    """
    from bundler.hps.connection import connected
    from bundler.hps.errors import HpsError
    from bundler.hps.redaction import plain
    from bundler.hps.registration import differences, evaluators_for, register, registration

    wanted = registration(name, uv_version, executable, cache)
    for key, value in wanted.items():
        say(f"{key}: {value}")
    with connected(identified(account)) as client:
        alive = evaluators_for(client, wanted, evaluators)
        if not alive and apply:
            hint = "start an evaluator, or register it in the web interface for compute resource sets"
            raise HpsError(client.url, "no evaluator is alive on whose platform there are such paths", hint)
        changes = differences(client, wanted, alive)
        for evaluator, lines, _ in changes.values():
            say("\n  ".join([f"evaluator {evaluator} would change:", *lines]))
        if not alive:
            say("No evaluator is alive on whose platform there are such paths.")
        elif not changes:
            say(f"All evaluators already have it: {', '.join(plain(each.name) for each in alive)}")
        if changes and apply and (yes or click.confirm("Change them?", err=True)):
            for identity, (evaluator, _, applications) in changes.items():
                register(client, identity, applications)
                click.echo(evaluator)


@hps.command("template", no_args_is_help=True, context_settings=HELP)
@click.argument("publication", type=_PATH)
@with_submission_options
@click.option("--name", metavar="NAME", help="Of the template; 'Offline uv script: PUBLICATION' if not given.")
@click.option("--for-anyone", is_flag=True, help="Let everybody on this HPS use it, not only your organization.")
@with_account
def template(publication: Path, options: Any, name: str | None, for_anyone: bool, account: Account) -> None:
    """Make a task definition template of PUBLICATION, which others pick in the web interface. Prints its id.

    \b
    Example:
        bundler hps template /shared/store/publications/eval-0123456789ab --name "Plot a sine, offline"
    """
    from bundler.jobs.submission import compose

    submission = compose(publication, [{}], options, values=False)
    if len(submission.steps) > 1:
        raise click.UsageError("A template is for one script: choose it with --script.")

    from bundler.hps.connection import connected
    from bundler.hps.template import create_template

    with connected(identified(account)) as client:
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
@with_account
def login(store: str, account: Account) -> None:
    """Log in with the browser, once; later commands need no password.

    \b
    Example:
        bundler hps login --url https://host:8443/hps
    """
    from bundler.hps.login import log_in

    log_in(account, store)
    say(f"Logged in to {account.url}; the tokens are kept by {store}.")
