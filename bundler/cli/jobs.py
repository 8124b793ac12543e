"""Commands and options that submit jobs to HPS, and the display of their states."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.account import ReadAccount, connected, with_account
from bundler.cli.command import (
    PATH,
    command,
    flag,
    json_option,
    parsed,
    publication_argument,
    with_trust,
)
from bundler.cli.terminal import counting_jobs, reporting, result, say, warn
from bundler.errors import BundlerError
from bundler.lazily import lazily
from bundler.units import parse_duration, parse_size

if TYPE_CHECKING:
    from ansys.hps.client import Client

with lazily():
    from bundler import api
    from bundler.hps import errors, failures, redaction, watch
    from bundler.jobs import options as job_options, submission as submissions, summary, sweep
    from bundler.trust import ssh_keygen

# Seconds without any change after which jobs that stay pending deserve a warning.
_STUCK = 60.0


def with_submission_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that describe jobs to `command`; pass them on as `options`."""

    @click.option(
        "--script",
        "scripts",
        metavar="[STEP=]NAME",
        multiple=True,
        help="Run only this script; repeat it for the steps of each job, in order. STEP names the step, so that one "
        "script can run as several steps.  [default: all, as bundled]",
    )
    @click.option(
        "--application",
        metavar="NAME",
        help="Name under which uv is registered.  [default: uv, or none if the publication includes what nodes need]",
    )
    @click.option(
        "--software",
        metavar="NAME[=VERSION]",
        multiple=True,
        help="Require this other software, too. Repeatable.",
    )
    @click.option(
        "--input",
        "inputs",
        metavar="FILE",
        multiple=True,
        type=PATH,
        help="Input file of every job. Repeatable.",
    )
    @click.option(
        "--output",
        "outputs",
        metavar="NAME",
        multiple=True,
        help="File that a job must write. Repeatable.",
    )
    @click.option(
        "--environment",
        metavar="NAME=VALUE",
        multiple=True,
        help="Set an environment variable for jobs. Repeatable.",
    )
    @click.option(
        "--cores", type=click.FloatRange(min=0, min_open=True), help="Cores of a job.  [default: 1]"
    )
    @click.option("--memory", metavar="SIZE", help="Memory of a job, such as 512 MB.")
    @click.option(
        "--disk",
        metavar="SIZE",
        help="Disk space of a job, such as 2 GB.  [default: enough for its packages]",
    )
    @click.option("--timeout", metavar="TIME", help="Time limit of a job, such as 90 min.")
    @click.option(
        "--trials", type=click.IntRange(min=1), help="Attempts to run a job.  [default: 1]"
    )
    @click.option(
        "--priority",
        type=click.IntRange(min=0),
        help="Priority of the HPS project; 0, the default, is the highest.",
    )
    @click.option("--queue", metavar="NAME", help="Queue of the job scheduler.")
    @click.option(
        "--exclusive", is_flag=True, default=None, help="Do not share nodes with other jobs."
    )
    @click.option(
        "--cores-per-node",
        type=click.IntRange(min=1),
        help="Cores on each node of a distributed job.",
    )
    @click.option("--gpus-per-node", type=click.IntRange(min=1), help="GPUs on each node.")
    @click.option(
        "--compute-resource-set", metavar="ID", help="Run only on this compute resource set."
    )
    @click.option(
        "--native-submit-options",
        metavar="TEXT",
        help="Options for the command of the job scheduler.",
    )
    @click.option(
        "--settings",
        metavar="FILE",
        type=PATH,
        help="Read keys of [tool.bundler] from this TOML file, and from its tables [steps.NAME] those of single steps.",
    )
    @click.option(
        "--set",
        "overrides",
        metavar="[STEP:]KEY=VALUE",
        multiple=True,
        help="Set a key of [tool.bundler] for all steps, or only for STEP. Repeatable.",
    )
    @functools.wraps(command)
    def with_options(*args: Any, **settings: Any) -> None:
        values: dict[str, Any] = {}
        for field in fields(job_options.Options):
            values[field.name] = settings.pop(field.name)
        for name, parse in (
            ("memory", parse_size),
            ("disk", parse_size),
            ("timeout", parse_duration),
        ):
            if values[name] is not None:
                values[name] = parsed(parse, values[name], f"--{name}")
        values["environment"] = _environment(values["environment"])
        command(*args, options=job_options.Options(**values), **settings)

    return with_options


def _environment(texts: Sequence[str]) -> dict[str, str]:
    environment = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter("must be NAME=VALUE", param_hint="--environment")
        environment[name] = value
    return environment


def with_rows(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which jobs there are; pass on their `rows`, and the `folder` of files in them."""

    @click.option(
        "-j",
        "--num-jobs",
        type=click.IntRange(1, 1_000_000),
        help="Number of identical jobs.  [default: 1]",
    )
    @click.option(
        "--params",
        "table",
        metavar="FILE",
        type=PATH,
        help="Submit one job for each row of a CSV file, or each object of a JSON list. A column named after an input "
        "file sets that file per job; the columns job, note and priority describe the job.",
    )
    @click.option(
        "--sweep",
        "sweeps",
        metavar="NAME=VALUES",
        multiple=True,
        help="Submit one job for each value of a parameter: x=START:STOP:STEP (both ends included) or x=1,2,5. Repeat "
        "it for all combinations.",
    )
    @functools.wraps(command)
    def with_options(
        *args: Any,
        num_jobs: int | None,
        table: Path | None,
        sweeps: tuple[str, ...],
        **settings: Any,
    ) -> None:
        if [bool(num_jobs), bool(table), bool(sweeps)].count(True) > 1:
            raise click.UsageError("--num-jobs, --params and --sweep cannot be used together")
        rows: Sequence[dict[str, Any]] = [{} for _ in range(num_jobs or 1)]
        if table:
            rows = sweep.read_table(table)
        elif sweeps:
            rows = sweep.sweep(sweeps)
        command(*args, rows=rows, folder=table.parent if table else Path(), **settings)

    return with_options


@command("submit")
@publication_argument
@with_rows
@with_submission_options
@with_trust
@click.option(
    "--name", metavar="NAME", help="Name of the HPS project.  [default: publication and time]"
)
@flag("--replace", help="Delete projects of the same name and their results afterwards.")
@flag("--force", help="Submit even if no evaluator can run the jobs.")
@flag("--wait", help="Wait for the jobs and fail if one of them fails.")
@flag("--dry-run", help="Check everything that needs no server, show the jobs, and stop.")
@with_account
@json_option
def submit(
    publication: Path,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    options: Any,
    trust: ssh_keygen.Trust | None,
    name: str | None,
    replace: bool,
    force: bool,
    wait: bool,
    dry_run: bool,
    account: ReadAccount,
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
    submission = submissions.compose(publication, rows, options, folder=folder, trust=trust)
    for text in submission.warnings:
        warn(text)
    if dry_run:
        document = summary.summary(submission)
        result(document, [summary.table(document)], as_json=as_json)
        return
    with connected(account) as client:
        with reporting() as report:
            project = api.submit(
                client, submission, name=name, replace=replace, force=force, report=report
            )
        result({"project": project}, [project], as_json=as_json)
        if wait:
            require_success(show_jobs(client, project, 1.0))


def show_jobs(client: Client, project: str, interval: float) -> dict[str, int]:
    """Show the states of the jobs until all have ended; return the number of jobs in each state."""
    try:
        return _watch(client, project, interval)
    except (KeyboardInterrupt, BundlerError) as error:
        text = f"Watch them again with: bundler hps watch {project}"
        if isinstance(error, KeyboardInterrupt):
            text = f"The jobs continue. {text}"
        say(text)
        raise


def require_success(counts: Mapping[str, int]) -> None:
    """Raise `JobError` unless all jobs, of which `counts` are in each state, succeeded."""
    if any(state != "evaluated" for state in counts):
        raise errors.jobs_failed(counts)


def _watch(client: Client, project: str, interval: float) -> dict[str, int]:
    """Show the states of the jobs until all have ended; return the last numbers."""
    counts: dict[str, int] = {}
    was_warned = False
    with counting_jobs() as show:
        for status in watch.watch(client, project, interval):
            counts = {redaction.plain(state): count for state, count in status.counts.items()}
            if status.failed:
                for text in failures.describe_failures(client, project, status.failed):
                    say(text)
            ended = sum(count for state, count in status.counts.items() if state in watch.FINISHED)
            states = [f"{count} {state}" for state, count in counts.items()]
            show(", ".join(states), ended, sum(counts.values()))
            if status.stuck > _STUCK and not was_warned:
                was_warned = True
                warn(f"jobs have been pending for {status.stuck:.0f} s and none is running")
                say("hint: run `bundler hps check` to see whether an evaluator can run them")
    return counts
