"""Submitting jobs to HPS and showing how they fare."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.account import identified, with_account
from bundler.cli.show import HELP, say, shown
from bundler.errors import BundlerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansys.hps.client import Client

    from bundler.hps.connection import Account
    from bundler.hps.watch import Status
    from bundler.jobs.submission import Submission

_PATH = click.Path(path_type=Path)
# Seconds without any change after which pending jobs are worth a word.
_STUCK = 60.0


def with_submission_options(command: Callable[..., None]) -> Callable[..., None]:
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
        from bundler.jobs.submission import Options
        from bundler.units import parse_duration, parse_size

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
@click.option("-j", "--num-jobs", type=click.IntRange(1, 1_000_000), help="So many jobs, all alike; 1 if not given.")
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
@with_submission_options
@click.option("--name", metavar="NAME", help="Of the HPS project; the publication's, with the time, if not given.")
@click.option(
    "--replace", is_flag=True, help="Delete HPS projects of that name and their results, once the new one is whole."
)
@click.option("--force", is_flag=True, help="Submit also where no evaluator has what the jobs need.")
@click.option("--wait", is_flag=True, help="Watch the jobs until all are done; fail if one fails.")
@with_account
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
    from bundler.jobs import sweep
    from bundler.jobs.submission import compose

    if sum(map(bool, (num_jobs, table, sweeps))) > 1:
        raise click.UsageError("Give one of --num-jobs, --params and --sweep.")
    rows = sweep.read_table(table) if table else sweep.sweep(sweeps) if sweeps else [{} for _ in range(num_jobs or 1)]
    submission = compose(publication, rows, options)

    from bundler import api
    from bundler.hps.connection import connected

    with connected(identified(account)) as client:
        with shown() as report:
            project = api.submit(client, submission, name=name, replace=replace, force=force, report=report)
        click.echo(project)
        if wait:
            sys.stdout.flush()
            show_jobs(client, project, 1.0)


def require_somewhere_to_run(client: Client, submission: Submission) -> None:
    """Raise `BundlerError` unless HPS has resources for `submission`."""
    from bundler.hps.resources import require_somewhere, survey

    require_somewhere(client, submission, survey(client))


def show_jobs(client: Client, project: str, interval: float) -> None:
    """Show how the jobs fare until all are done; raise `JobError` if not all succeeded."""
    from bundler.hps.errors import jobs_failed
    from bundler.hps.redaction import plain
    from bundler.hps.watch import watch

    # In a log one line for each change, on a terminal one line that changes.
    lively = sys.stderr.isatty()
    newline = "\n" if lively else ""
    shown, warned = "", False
    try:
        for status in watch(client, project, interval):
            text = ", ".join(f"{count} {plain(state)}" for state, count in status.counts.items())
            if status.failed:
                _show_failed(client, project, status, newline)
            if lively:
                click.echo(f"\r{text}\033[K", nl=False, err=True)
            elif text != shown:
                say(text)
            shown = text
            if status.stuck > _STUCK and not warned:
                warned = True
                say(f"{newline}warning: jobs have been pending for {status.stuck:.0f} s, and none runs.")
                say("`bundler hps check` tells whether any evaluator fits.")
    except (KeyboardInterrupt, BundlerError) as fault:
        go_on = "The jobs go on. " if isinstance(fault, KeyboardInterrupt) else ""
        say(f"\n{go_on}Come back with: bundler hps watch {project}")
        raise
    if lively:
        say("")
    if set(status.counts) - {"evaluated"}:
        raise jobs_failed(status.counts)


def _show_failed(client: Client, project: str, status: Status, newline: str) -> None:
    """Show the last console lines of the first jobs that failed since the last status."""
    from bundler.hps.redaction import plain
    from bundler.hps.watch import last_lines

    names = {identity: f"{plain(name)} {plain(state)}" for identity, name, state in status.failed}
    for identity, lines in last_lines(client, project, list(names)):
        say(newline + "\n  ".join([f"{names[identity]}; its last lines:", *lines]))
