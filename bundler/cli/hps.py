"""Commands for jobs on HPS and for setting HPS up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.account import identified, with_account
from bundler.cli.command import Group, json_option
from bundler.cli.jobs import require_somewhere_to_run, show_jobs, with_submission_options
from bundler.cli.terminal import reporting, result, say, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.hps.connection import Account

_PATH = click.Path(path_type=Path)


@click.group(cls=Group)
def hps() -> None:
    """Manage jobs on HPS and set HPS up.

    \b
    Examples:
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps fetch 02qtyJfpfAQ0fr3zkoIAfC -o results
    """


@hps.command("check", no_args_is_help=True)
@click.argument("publication", metavar="PUBLICATION", type=_PATH)
@with_submission_options
@with_account
@json_option
def check_hps(publication: Path, options: Any, account: Callable[[], Account], as_json: bool) -> None:
    """Check whether an evaluator can run the jobs.

    Compares what the jobs of PUBLICATION need with the evaluators and compute resource sets of HPS. Prints one line for
    each of them: kind, name, platform, applications.

    \b
    Examples:
        bundler hps check /shared/store/publications/eval-0123456789ab
        bundler hps check /shared/store/publications/eval-0123456789ab --cores 64 --json
    """
    from bundler.jobs.submission import compose

    submission = compose(publication, [{}], options, values=False)

    from bundler.hps.connection import connected
    from bundler.hps.redaction import plain
    from bundler.hps.resources import survey

    with connected(identified(account)) as client:
        resources = survey(client)
        lines = []
        for resource in resources:
            names = ", ".join(" ".join(filter(None, application)) for application in resource.applications or ())
            cells = (resource.kind, resource.name, resource.platform or "", names)
            lines.append("\t".join(map(plain, cells)))
        result({"resources": [asdict(resource) for resource in resources]}, lines, as_json=as_json)
        on_demand = [resource.name for resource in resources if resource.kind != "evaluator"]
        if on_demand:
            names = ", ".join(map(plain, on_demand))
            say(f"Evaluators of {names} start on demand with an empty cache (see `bundler guide hps`)")
        for resource in resources:
            for text in resource.warnings:
                warn(f"{plain(resource.name)}: {text}")
        require_somewhere_to_run(client, submission)


@hps.command("watch", no_args_is_help=True)
@click.argument("project", metavar="PROJECT")
@click.option("--interval", type=click.FloatRange(min=0.1), default=2.0, help="Seconds between requests.")
@with_account
@json_option
def watch_jobs(project: str, interval: float, account: Callable[[], Account], as_json: bool) -> None:
    """Watch the jobs of an HPS project until they end.

    PROJECT is the ID that `submit-jobs` prints. Shows the number of jobs in each state and the last console lines of
    jobs that fail. Fails if a job failed. Ctrl-C leaves the jobs running.

    \b
    Examples:
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps watch 02qtyJfpfAQ0fr3zkoIAfC --interval 30 --json
    """
    from bundler.hps.connection import connected

    with connected(identified(account)) as client:
        counts = show_jobs(client, project, interval)
    result({"project": project, "jobs": counts}, [], as_json=as_json)


@hps.command("fetch", no_args_is_help=True)
@click.argument("project", metavar="PROJECT")
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Write to this folder.  [default: named PROJECT]")
@click.option("--job", "jobs", metavar="NAME", multiple=True, help="Download only the outputs of this job. Repeatable.")
@click.option("--failed", is_flag=True, help="Download only the outputs of jobs that failed.")
@with_account
@json_option
def fetch_results(
    project: str,
    output: Path | None,
    jobs: tuple[str, ...],
    failed: bool,
    account: Callable[[], Account],
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
    from bundler import api
    from bundler.hps.connection import connected
    from bundler.units import counted

    with connected(identified(account)) as client, reporting() as report:
        count, table = api.fetch(client, project, output or Path(project), jobs=jobs, failed=failed, report=report)
    say(f"Fetched {counted(count, 'file')}")
    result({"table": table, "files": count}, [table], as_json=as_json)


@hps.command("list")
@with_account
@json_option
def list_all(account: Callable[[], Account], as_json: bool) -> None:
    """List your HPS projects, the newest first.

    Prints the ID, the time of creation and the name of each project.

    \b
    Examples:
        bundler hps list
        bundler hps list --json
    """
    from bundler.hps.connection import connected
    from bundler.hps.projects import list_projects

    with connected(identified(account)) as client:
        projects = list_projects(client)
    lines = [f"{project.identity}\t{project.created}\t{project.name}" for project in projects]
    result({"projects": [asdict(project) for project in projects]}, lines, as_json=as_json)


@hps.command("show", no_args_is_help=True)
@click.argument("project", metavar="PROJECT")
@with_account
@json_option
def show(project: str, account: Callable[[], Account], as_json: bool) -> None:
    """Show the states of the jobs and why some failed.

    Prints the number of jobs of PROJECT in each state, and for each reason the jobs that failed.

    \b
    Examples:
        bundler hps show 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps show 02qtyJfpfAQ0fr3zkoIAfC --json
    """
    from bundler.hps.connection import connected
    from bundler.hps.failures import read_failures
    from bundler.hps.projects import count_states

    with connected(identified(account)) as client:
        counts, failed = count_states(client, project)
        failures = read_failures(client, project, failed)
    lines = [", ".join(f"{count} {state}" for state, count in counts.items()), *map(str, failures)]
    document = {"project": project, "jobs": counts, "failures": [asdict(failure) for failure in failures]}
    result(document, lines, as_json=as_json)


@hps.command("abort", no_args_is_help=True)
@click.argument("project", metavar="PROJECT")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@with_account
@json_option
def abort_jobs(project: str, jobs: tuple[str, ...], account: Callable[[], Account], as_json: bool) -> None:
    """Abort jobs that have not ended.

    Aborts the jobs of PROJECT with the given names, or all of them. Prints the number of aborted jobs.

    \b
    Examples:
        bundler hps abort 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps abort 02qtyJfpfAQ0fr3zkoIAfC job-1 job-2
    """
    from bundler.hps.connection import connected
    from bundler.hps.projects import abort

    with connected(identified(account)) as client:
        count = abort(client, project, jobs)
    result({"project": project, "aborted": count}, [count], as_json=as_json)


@hps.command("delete", no_args_is_help=True)
@click.argument("project", metavar="PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_account
def delete_project(project: str, yes: bool, account: Callable[[], Account]) -> None:
    """Delete an HPS project with its jobs and results.

    \b
    Examples:
        bundler hps delete 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps delete 02qtyJfpfAQ0fr3zkoIAfC --yes
    """
    from bundler.hps.connection import connected
    from bundler.hps.projects import delete

    with connected(identified(account)) as client:
        if yes or click.confirm(f"Delete the HPS project {project} with all its results?", err=True):
            delete(client, project)
            say(f"Deleted the HPS project {project}")


@hps.command("retry", no_args_is_help=True)
@click.argument("project", metavar="PROJECT")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("--wait", is_flag=True, help="Wait for the jobs and fail if one of them fails.")
@with_account
@json_option
def retry_jobs(project: str, jobs: tuple[str, ...], wait: bool, account: Callable[[], Account], as_json: bool) -> None:
    """Run failed, timed-out and aborted jobs again.

    Retries the jobs of PROJECT with the given names, or all of them. Prints the number of jobs that will run again.

    \b
    Examples:
        bundler hps retry 02qtyJfpfAQ0fr3zkoIAfC
        bundler hps retry 02qtyJfpfAQ0fr3zkoIAfC job-1 --wait
    """
    from bundler.hps.connection import connected
    from bundler.hps.projects import retry

    with connected(identified(account)) as client:
        count = retry(client, project, jobs)
        result({"project": project, "retried": count}, [count], as_json=as_json)
        if wait:
            show_jobs(client, project, 1.0)


@hps.command("register", no_args_is_help=True)
@click.option("--executable", metavar="PATH", required=True, help="Path of uv on the evaluators.")
@click.option("--cache", metavar="DIR", required=True, help="UV_CACHE_DIR: a folder on a local disk of the nodes.")
@click.option("--name", default="uv", help="Name of the application.")
@click.option("--uv-version", metavar="VERSION", required=True, help="Version of uv at that path.")
@click.option(
    "--evaluator",
    "evaluators",
    metavar="NAME",
    multiple=True,
    help="Register on this evaluator only. Repeatable.  [default: all on whose platform the paths are valid]",
)
@click.option("--apply", is_flag=True, help="Write the registration, after showing the changes and asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_account
@json_option
def register_uv(
    executable: str,
    cache: str,
    name: str,
    uv_version: str,
    evaluators: tuple[str, ...],
    apply: bool,
    yes: bool,
    account: Callable[[], Account],
    as_json: bool,
) -> None:
    """Register uv as an application of the evaluators.

    Shows the registration and how it differs from that of each evaluator; writes it with --apply. The applications of
    compute resource sets can only be changed in the web interface; enter the same values there. Prints the names of the
    evaluators that were changed.

    \b
    Examples:
        bundler hps register --executable /ansys_inc/uv/bin/uv --uv-version 0.13.9 --cache /tmp/scratch/uv_cache
        bundler hps register --executable /ansys_inc/uv/bin/uv --uv-version 0.13.9 --cache /tmp/scratch/uv_cache --apply
    """
    from bundler.hps.connection import connected
    from bundler.hps.errors import HpsError
    from bundler.hps.redaction import plain
    from bundler.hps.registration import differences, evaluators_for, register, registration

    values = registration(name, uv_version, executable, cache)
    for key, value in values.items():
        say(f"{key}: {value}")
    changed = []
    with connected(identified(account)) as client:
        alive = evaluators_for(client, values, evaluators)
        if not alive and apply:
            hint = "start an evaluator, or enter the registration for compute resource sets in the web interface"
            raise HpsError(client.url, "no running evaluator has a platform on which these paths are valid", hint)
        changes = differences(client, values, alive)
        for evaluator, lines, _ in changes.values():
            say("\n  ".join([f"Evaluator {evaluator} would change:", *lines]))
        if not alive:
            say("No running evaluator has a platform on which these paths are valid.")
        elif not changes:
            say(f"Already registered on {', '.join(plain(evaluator.name) for evaluator in alive)}")
        if changes and apply and (yes or click.confirm("Write these changes?", err=True)):
            for identity, (evaluator, _, applications) in changes.items():
                register(client, identity, applications)
                changed.append(evaluator)
                if not as_json:
                    result(None, [evaluator])
    if as_json:
        result({"evaluators": changed}, [], as_json=True)


@hps.command("template", no_args_is_help=True)
@click.argument("publication", metavar="PUBLICATION", type=_PATH)
@with_submission_options
@click.option("--name", metavar="NAME", help="Name of the template.  [default: Offline uv script: PUBLICATION]")
@click.option("--for-anyone", is_flag=True, help="Let all users of this HPS use it, not only your organization.")
@with_account
@json_option
def template(
    publication: Path, options: Any, name: str | None, for_anyone: bool, account: Callable[[], Account], as_json: bool
) -> None:
    """Create a task definition template.

    Others can then choose the script of PUBLICATION in the web interface. Prints the ID of the template.

    \b
    Examples:
        bundler hps template /shared/store/publications/eval-0123456789ab
        bundler hps template /shared/store/publications/eval-0123456789ab --name "Plot a sine" --for-anyone
    """
    from bundler.jobs.submission import compose

    submission = compose(publication, [{}], options, values=False)
    if len(submission.steps) > 1:
        raise click.UsageError("a template holds one script; choose it with --script")

    from bundler.hps.connection import connected
    from bundler.hps.template import create_template

    with connected(identified(account)) as client:
        name = name or f"Offline uv script: {submission.publication}"
        identity = create_template(client, submission, name, for_anyone=for_anyone)
    result({"template": identity}, [identity], as_json=as_json)


@hps.command("login")
@click.option(
    "--store",
    type=click.Choice(["keyring", "disk"]),
    default="keyring",
    help="Keep the tokens in the system's keyring, or in a file in HOME that only you can read.",
)
@click.option("--device", is_flag=True, help="Print a URL and a code, and log in with a browser on any device.")
@with_account
def login(store: str, device: bool, account: Callable[[], Account]) -> None:
    """Log in with a browser and keep the tokens.

    Later commands then need no password. Storing them in the keyring needs the package `keyring`.

    \b
    Examples:
        bundler hps login --url https://host:8443/hps
        bundler hps login --store disk --device
    """
    from bundler.hps.login import log_in

    target = account()
    log_in(target, store, say, device=device)
    say(f"Logged in to {target.url}")
