"""Commands and options that submit jobs to HPS, and the display of their states."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.account import identified, with_account
from bundler.cli.command import Command, json_option, with_trust
from bundler.cli.terminal import counting_jobs, reporting, result, say, warn
from bundler.errors import BundlerError
from bundler.units import parse_duration, parse_size
from wheelhouse.lazily import lazily

if TYPE_CHECKING:
    from ansys.hps.client import Client

with lazily():
    from bundler import api
    from bundler.hps import connection, errors, failures, redaction, resources, watch
    from bundler.jobs import options as job_options
    from bundler.jobs import submission as job_submission
    from bundler.jobs import summary, sweep
    from bundler.trust import ssh_keygen


_PATH = click.Path(path_type=Path)
# Seconds without any change after which jobs that stay pending deserve a warning.
_STUCK = 60.0


def with_submission_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that describe jobs to `command`; pass them on as `options`."""

    @click.option(
        "--script",
        "scripts",
        metavar="NAME",
        multiple=True,
        help="Run only this script; repeat it for the steps of each job, in order.  [default: all, as bundled]",
    )
    @click.option(
        "--application",
        metavar="NAME",
        help="Require this application, as which uv is registered.  [default: uv, or none if the publication "
        "includes what nodes need]",
    )
    @click.option(
        "--software", metavar="NAME[=VERSION]", multiple=True, help="Require this other software, too. Repeatable."
    )
    @click.option(
        "--input", "inputs", metavar="FILE", multiple=True, type=_PATH, help="Input file of every job. Repeatable."
    )
    @click.option("--output", "outputs", metavar="NAME", multiple=True, help="File that a job must write. Repeatable.")
    @click.option(
        "--environment", metavar="NAME=VALUE", multiple=True, help="Set an environment variable for jobs. Repeatable."
    )
    @click.option("--cores", type=click.FloatRange(min=0, min_open=True), help="Cores of a job.  [default: 1]")
    @click.option("--memory", metavar="SIZE", help="Memory of a job, such as 512 MB.")
    @click.option(
        "--disk", metavar="SIZE", help="Disk space of a job, such as 2 GB.  [default: enough for its packages]"
    )
    @click.option("--timeout", metavar="TIME", help="Time limit of a job, such as 90 min.")
    @click.option("--trials", type=click.IntRange(min=1), help="Attempts to run a job.  [default: 1]")
    @click.option("--priority", type=click.IntRange(min=1), help="Priority of the HPS project.")
    @click.option("--queue", metavar="NAME", help="Queue of the job scheduler.")
    @click.option("--exclusive", is_flag=True, default=None, help="Do not share nodes with other jobs.")
    @click.option("--cores-per-node", type=click.IntRange(min=1), help="Cores on each node of a distributed job.")
    @click.option("--gpus-per-node", type=click.IntRange(min=1), help="GPUs on each node.")
    @click.option("--compute-resource-set", metavar="ID", help="Run only on this compute resource set.")
    @click.option("--native-submit-options", metavar="TEXT", help="Options for the command of the job scheduler.")
    @click.option(
        "--set",
        "overrides",
        metavar="[SCRIPT:]KEY=VALUE",
        multiple=True,
        help="Set a key of [tool.bundler] for all steps, or only for SCRIPT. Repeatable.",
    )
    @functools.wraps(command)
    def with_options(*args: Any, **settings: Any) -> None:

        parsed = ("memory", "disk", "timeout", "environment")
        own = {
            entry.name: settings.pop(entry.name) for entry in fields(job_options.Options) if entry.name not in parsed
        }
        for name, parse in (("memory", parse_size), ("disk", parse_size), ("timeout", parse_duration)):
            text = settings.pop(name)
            try:
                own[name] = None if text is None else parse(text)
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint=f"--{name}") from error
        pairs = [text.partition("=") for text in settings.pop("environment")]
        if not all(name and equals for name, equals, _ in pairs):
            raise click.BadParameter("must be NAME=VALUE", param_hint="--environment")
        options = job_options.Options(**own, environment={name: value for name, _, value in pairs})
        command(*args, options=options, **settings)

    return with_options


@click.command("submit", cls=Command, no_args_is_help=True)
@click.argument("publication", metavar="PUBLICATION", type=_PATH)
@click.option("-j", "--num-jobs", type=click.IntRange(1, 1_000_000), help="Number of identical jobs.  [default: 1]")
@click.option(
    "--params",
    "table",
    metavar="FILE",
    type=_PATH,
    help="Submit one job for each row of a CSV file, or each object of a JSON list. A column named like an input "
    "file gives that file for each job; the columns job, note and priority describe the job.",
)
@click.option(
    "--sweep",
    "sweeps",
    metavar="NAME=VALUES",
    multiple=True,
    help="Submit one job for each value of a parameter: x=START:STOP:STEP (both ends included) or x=1,2,5. Repeat it "
    "for all combinations.",
)
@with_submission_options
@with_trust
@click.option("--name", metavar="NAME", help="Name of the HPS project.  [default: publication and time]")
@click.option("--replace", is_flag=True, help="Delete projects of the same name and their results afterwards.")
@click.option("--force", is_flag=True, help="Submit even if no evaluator can run the jobs.")
@click.option("--wait", is_flag=True, help="Wait for the jobs and fail if one of them fails.")
@click.option("--dry-run", is_flag=True, help="Check everything that needs no server, show the jobs, and stop.")
@with_account
@json_option
def submit(
    publication: Path,
    num_jobs: int | None,
    table: Path | None,
    sweeps: tuple[str, ...],
    options: Any,
    trust: ssh_keygen.Trust | None,
    name: str | None,
    replace: bool,
    force: bool,
    wait: bool,
    dry_run: bool,
    account: Callable[[], connection.Account],
    as_json: bool,
) -> None:
    """Submit jobs to HPS.

    Creates an HPS project whose jobs run the scripts of PUBLICATION without internet access, and prints its ID. Checks
    first that an evaluator can run the jobs, and the signature if --trust or the store requires one. Options override
    the keys of [tool.bundler] in the scripts.

    \b
    Examples:
        submit-jobs /shared/store/publications/eval-0123456789ab
        submit-jobs /shared/store/publications/eval-0123456789ab --sweep frequency=0.5:5:0.5 --wait

    \b
    Environment variables:
        HPS_URL             URL of HPS, such as https://host:8443/hps
        HPS_USERNAME        user name, with HPS_PASSWORD
        HPS_PASSWORD        password
        HPS_ACCESS_TOKEN    log in with this token instead
        HPS_REFRESH_TOKEN   log in with this token instead
        HPS_TIMEOUT         seconds to wait for an answer of HPS (60)
    """
    if sum(map(bool, (num_jobs, table, sweeps))) > 1:
        raise click.UsageError("--num-jobs, --params and --sweep cannot be used together")
    rows = sweep.read_table(table) if table else sweep.sweep(sweeps) if sweeps else [{} for _ in range(num_jobs or 1)]
    submission = job_submission.compose(
        publication, rows, options, folder=table.parent if table else Path(), trust=trust
    )
    for text in submission.warnings:
        warn(text)
    if dry_run:
        document = summary.summary(submission)
        result(document, [] if as_json else [summary.table(document)], as_json=as_json)
        return

    with connection.connected(identified(account)) as client:
        with reporting() as report:
            project = api.submit(client, submission, name=name, replace=replace, force=force, report=report)
        result({"project": project}, [project], as_json=as_json)
        if wait:
            show_jobs(client, project, 1.0)


def require_somewhere_to_run(client: Client, submission: job_submission.Submission) -> None:
    """Raise `BundlerError` unless an evaluator of HPS can run the jobs of `submission`."""
    resources.require_somewhere(client, submission, resources.survey(client))


def show_jobs(client: Client, project: str, interval: float) -> dict[str, int]:
    """Show the states of the jobs until all have ended; return the number of jobs in each state.

    Raises `JobError` unless all of them succeeded.
    """
    counts: dict[str, int] = {}
    warned = False
    try:
        with counting_jobs() as show:
            for status in watch.watch(client, project, interval):
                counts = {redaction.plain(state): count for state, count in status.counts.items()}
                if status.failed:
                    for text in failures.describe_failures(client, project, status.failed):
                        say(text)
                ended = sum(count for state, count in status.counts.items() if state in watch.FINISHED)
                show(", ".join(f"{count} {state}" for state, count in counts.items()), ended, sum(counts.values()))
                if status.stuck > _STUCK and not warned:
                    warned = True
                    warn(f"jobs have been pending for {status.stuck:.0f} s and none is running")
                    say("hint: run `bundler hps check` to see whether an evaluator can run them")
    except (KeyboardInterrupt, BundlerError) as error:
        state = "The jobs continue. " if isinstance(error, KeyboardInterrupt) else ""
        say(f"{state}Watch them again with: bundler hps watch {project}")
        raise
    if set(counts) - {"evaluated"}:
        raise errors.jobs_failed(counts)
    return counts
