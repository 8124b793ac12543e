"""Commands for jobs on HPS."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from bundler.cli import hps_setup
from bundler.cli.account import ReadAccount, connected, with_account
from bundler.cli.command import PATH, Group, flag, json_option
from bundler.cli.jobs import require_success, show_jobs
from bundler.cli.terminal import reporting, result, say
from bundler.lazily import lazily
from bundler.units import counted

with lazily():
    from bundler import api
    from bundler.hps import failures, logs, projects, redaction


@click.group(cls=Group)
def hps() -> None:
    """Manage jobs on HPS and set HPS up.

    \b
    Examples:
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps fetch 02qtyJfpfAQ0fr3zkoIAfC -o results
    """


@hps.command("watch")
@click.argument("project", metavar="PROJECT")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    help="Seconds between requests.",
)
@with_account
@json_option
def _watch(project: str, interval: float, account: ReadAccount, as_json: bool) -> None:
    """Watch the jobs of an HPS project until they end.

    PROJECT is the ID that `submit-jobs` prints. Shows the number of jobs in each state and the last console lines of
    jobs that fail. Fails if a job failed. Ctrl-C leaves the jobs running.

    \b
    Examples:
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC --interval 30 --json
    """
    with connected(account) as client:
        counts = show_jobs(client, project, interval)
    result({"project": project, "jobs": counts}, [], as_json=as_json)
    require_success(counts)


@hps.command("fetch")
@click.argument("project", metavar="PROJECT")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=PATH,
    help="Write to this folder.  [default: named PROJECT]",
)
@click.option(
    "--job",
    "jobs",
    metavar="NAME",
    multiple=True,
    help="Download only the outputs of this job. Repeatable.",
)
@flag("--failed", help="Download only the outputs of jobs that failed.")
@with_account
@json_option
def _fetch(
    project: str,
    output: Path | None,
    jobs: tuple[str, ...],
    failed: bool,
    account: ReadAccount,
    as_json: bool,
) -> None:
    """Download the results of an HPS project.

    Writes the output files of each job to a folder of that job, and the states, parameters, results, seconds,
    evaluators and reasons of failures of all jobs to results.csv. Skips files that are already complete. Prints the
    path of results.csv.

    \b
    Examples:
        bundler hps fetch 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps fetch 02qtyJfpfAQ0fr3zkoIAfC -o results --failed
    """
    with connected(account) as client, reporting() as report:
        count, table = api.fetch(
            client, project, output or Path(project), jobs=jobs, failed=failed, report=report
        )
    say(f"Fetched {counted(count, 'file')}")
    result({"table": table, "files": count}, [table], as_json=as_json)


@hps.command("list")
@with_account
@json_option
def _list(account: ReadAccount, as_json: bool) -> None:
    """List your HPS projects, the newest first.

    Prints the ID, the time of creation and the name of each project.

    \b
    Examples:
        bundler hps list
        bundler hps list --json
    """
    with connected(account) as client:
        listed = projects.list_projects(client)
    lines = [f"{project.identity}\t{project.created}\t{project.name}" for project in listed]
    result({"projects": list(map(asdict, listed))}, lines, as_json=as_json)


@hps.command("show")
@click.argument("project", metavar="PROJECT")
@with_account
@json_option
def _show(project: str, account: ReadAccount, as_json: bool) -> None:
    """Show the states of the jobs and why some failed.

    Prints the number of jobs of PROJECT in each state, and for each reason the jobs that failed.

    \b
    Examples:
        bundler hps show 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps show 02qtyJfpfAQ0fr3zkoIAfC --json
    """
    with connected(account) as client:
        counts, failed = projects.count_states(client, project)
        found = failures.read_failures(client, project, failed)
    states = [f"{count} {state}" for state, count in counts.items()]
    document = {"project": project, "jobs": counts, "failures": list(map(asdict, found))}
    result(document, [", ".join(states), *found], as_json=as_json)


@hps.command("logs")
@click.argument("project", metavar="PROJECT")
@click.argument("job", metavar="JOB")
@flag("--follow", "-f", help="Wait for more until the job has ended.")
@with_account
def _logs(project: str, job: str, follow: bool, account: ReadAccount) -> None:
    """Show what a job printed, also while it runs.

    JOB is the name or ID of a job in PROJECT. Prints the console output of the last attempt of each step. Ctrl-C leaves
    the job running.

    \b
    Examples:
        bundler hps logs 02qtyJfpfAQ0fr3zkoIAfC job-1
        bundler hps logs 02qtyJfpfAQ0fr3zkoIAfC job-1 --follow
    """
    step = ""
    count = 0
    with connected(account) as client:
        for line in logs.read_log(client, project, job, follow=follow):
            if line.step != step:
                step = line.step
                say(f"Output of {redaction.plain(step)}")
            click.echo(line.text)
            count += 1
    if not count:
        say(f"{job} has printed nothing yet")


@hps.command("abort")
@click.argument("project", metavar="PROJECT")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@with_account
@json_option
def _abort(project: str, jobs: tuple[str, ...], account: ReadAccount, as_json: bool) -> None:
    """Abort jobs that have not ended.

    Aborts the jobs of PROJECT with the given names, or all of them. Prints the number of aborted jobs.

    \b
    Examples:
        bundler hps abort 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps abort 02qtyJfpfAQ0fr3zkoIAfC job-1 job-2
    """
    with connected(account) as client:
        count = projects.abort(client, project, jobs)
    result({"project": project, "aborted": count}, [count], as_json=as_json)


@hps.command("delete")
@click.argument("project", metavar="PROJECT")
@flag("--yes", help="Do not ask.")
@with_account
def _delete(project: str, yes: bool, account: ReadAccount) -> None:
    """Delete an HPS project with its jobs and results.

    \b
    Examples:
        bundler hps delete 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps delete 02qtyJfpfAQ0fr3zkoIAfC --yes
    """
    with connected(account) as client:
        if yes or click.confirm(
            f"Delete the HPS project {project} with all its results?", err=True
        ):
            projects.delete(client, project)
            say(f"Deleted the HPS project {project}")


@hps.command("retry")
@click.argument("project", metavar="PROJECT")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@flag("--wait", help="Wait for the jobs and fail if one of them fails.")
@with_account
@json_option
def _retry(
    project: str,
    jobs: tuple[str, ...],
    wait: bool,
    account: ReadAccount,
    as_json: bool,
) -> None:
    """Run failed, timed-out and aborted jobs again.

    Retries the jobs of PROJECT with the given names, or all of them. Prints the number of jobs that will run again.

    \b
    Examples:
        bundler hps retry 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps retry 02qtyJfpfAQ0fr3zkoIAfC job-1 --wait
    """
    with connected(account) as client:
        count = projects.retry(client, project, jobs)
        result({"project": project, "retried": count}, [count], as_json=as_json)
        if wait:
            require_success(show_jobs(client, project, 1.0))


for _command in (hps_setup.check_hps, hps_setup.register_uv, hps_setup.template, hps_setup.login):
    hps.add_command(_command)
