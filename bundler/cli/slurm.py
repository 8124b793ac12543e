"""Commands for jobs on Slurm."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from bundler.cli.command import PATH, Group, json_option, publication_argument, with_trust
from bundler.cli.jobs import with_rows, with_submission_options
from bundler.cli.terminal import result, say, warn
from bundler.errors import BundlerError
from bundler.lazily import lazily

with lazily():
    from bundler.jobs import submission as submissions
    from bundler.slurm import campaign as campaigns, queue, results, sbatch
    from bundler.trust import ssh_keygen

# Options, and keys of steps, that say something to HPS only.
_OPTIONS_OF_HPS = ("application", "disk", "trials")
_KEYS_OF_HPS = (
    "software",
    "compute_resource_set",
    "distributed",
    "cores_per_node",
    "use_local_scratch",
    "working_directory",
    "debug",
)


@click.group(cls=Group)
def slurm() -> None:
    """Run jobs on Slurm.

    \b
    Examples:
        bundler slurm submit /shared/store/publications/eval-0123456789ab --sweep frequency=1:10:1 --folder study
        bundler slurm collect study -o results
    """


def _with_slurm_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of sbatch to `command`; pass them on as `words`."""

    @click.option("--account", metavar="NAME", help="Account to charge.")
    @click.option("--partition", metavar="NAME", help="Partition; --queue is the same.")
    @click.option("--qos", metavar="NAME", help="Quality of service.")
    @click.option(
        "--time",
        metavar="TIME",
        help="Time limit in Slurm's format.  [default: from the timeouts of the steps]",
    )
    @click.option("--constraint", metavar="LIST", help="Features that nodes must have.")
    @click.option("--gres", metavar="LIST", help="Generic resources, such as gpu:1.")
    @click.option(
        "--sbatch-option",
        "more",
        metavar="WORD",
        multiple=True,
        help="Another option of sbatch, such as --reservation=maintenance. Repeatable.",
    )
    @functools.wraps(command)
    def with_options(*args: Any, more: tuple[str, ...], **settings: Any) -> None:
        words = []
        for name in ("account", "partition", "qos", "time", "constraint", "gres"):
            value = settings.pop(name)
            if value is not None:
                words.append(f"--{name}={value}")
        for word in more:
            if not word.startswith("-") or "\n" in word:
                raise click.BadParameter(f"{word!r} is no option", param_hint="--sbatch-option")
        command(*args, words=[*words, *more], **settings)

    return with_options


_limit_option = click.option(
    "--array-limit",
    "limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Run at most N jobs at once.",
)
_folder_option = click.option(
    "--folder",
    "place",
    metavar="DIR",
    type=PATH,
    help="Folder of the campaign, which nodes must see at this path.  [default: publication and time]",
)


@slurm.command("submit")
@publication_argument
@with_rows
@with_submission_options
@_with_slurm_options
@_limit_option
@_folder_option
@with_trust
@json_option
def _submit(
    publication: Path,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    options: Any,
    words: list[str],
    limit: int | None,
    place: Path | None,
    trust: ssh_keygen.Trust | None,
    as_json: bool,
) -> None:
    """Submit jobs to Slurm.

    Writes the jobs to a new folder on shared storage, submits them as arrays, and prints the folder. Jobs write their
    logs, states and outputs to this folder, which is all that `collect` and `retry` need. Options and [tool.bundler]
    mean the same as for `submit-jobs`; warnings name the ones that only HPS uses. squeue and scancel show and cancel.

    \b
    Examples:
        bundler slurm submit /shared/store/publications/eval-0123456789ab --sweep frequency=1:10:1 --folder study
        bundler slurm submit /shared/store/publications/eval-0123456789ab -j 100 --partition short --array-limit 20
    """
    submission = _compose(publication, rows, folder, options, trust)
    place = place or _default_folder(submission.publication)
    campaigns.require_possible(submission, place)
    size = queue.longest_array()
    campaign = campaigns.write_campaign(submission, place, sbatch.options(submission.steps, words))
    try:
        arrays = queue.submit(campaign, range(len(campaign.names)), size, limit)
    except BundlerError:
        say(
            f"The jobs are in {place}. To submit the missing jobs, run: bundler slurm retry {place}"
        )
        raise
    say(f"Submitted {', '.join(arrays)}")
    result({"campaign": campaign.folder, "arrays": arrays}, [place], as_json=as_json)


@slurm.command("script")
@publication_argument
@with_rows
@with_submission_options
@_with_slurm_options
@_limit_option
@_folder_option
def _script(
    publication: Path,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    options: Any,
    words: list[str],
    limit: int | None,
    place: Path | None,
) -> None:
    """Show the script that would be submitted.

    Prints the first array of the jobs as a script for sbatch, and writes nothing.

    \b
    Examples:
        bundler slurm script /shared/store/publications/eval-0123456789ab -j 100
        bundler slurm script /shared/store/publications/eval-0123456789ab --cores 8 --time 2:00:00
    """
    submission = _compose(publication, rows, folder, options, None)
    place = place or _default_folder(submission.publication)
    campaigns.require_possible(submission, place)
    campaign = campaigns.draft(submission, place, sbatch.options(submission.steps, words))
    click.echo(campaigns.batch_script(campaign, 1, len(campaign.names), limit), nl=False)


@slurm.command("collect")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=PATH,
    required=True,
    help="Write the results to this folder.",
)
@json_option
def _collect(folder: Path, output: Path, as_json: bool) -> None:
    """Collect the results of jobs.

    DIR is the folder that `submit` printed. Writes the outputs of each job that has ended to a folder of that job, and
    the states, parameters, results and reasons of failures of all jobs to results.csv, like `bundler hps fetch`. Prints
    the path of results.csv.

    \b
    Examples:
        bundler slurm collect study -o results
        bundler slurm collect study -o results --json
    """
    campaign = campaigns.open_campaign(folder)
    outcomes, table = results.collect(campaign, output)
    counts = Counter(outcome.state for outcome in outcomes)
    say(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason)
    for reason, count in reasons.most_common(3):
        say(f"  {count} failed: {reason}")
    result({"table": table, "jobs": counts}, [table], as_json=as_json)


@slurm.command("retry")
@click.argument("folder", metavar="DIR", type=PATH)
@_limit_option
@json_option
def _retry(folder: Path, limit: int | None, as_json: bool) -> None:
    """Run failed, timed-out and aborted jobs again.

    DIR is the folder that `submit` printed. Prints the number of jobs that will run again.

    \b
    Examples:
        bundler slurm retry study
        bundler slurm retry study --array-limit 5
    """
    campaign = campaigns.open_campaign(folder)
    rows = []
    arrays: list[str] = []
    with queue.alone(campaign):
        for row, outcome in enumerate(results.outcomes(campaign)):
            if outcome.state in results.UNSUCCESSFUL:
                rows.append(row)
        if rows:
            arrays = queue.submit(campaign, rows, queue.longest_array(), limit)
    result({"retried": len(rows), "arrays": arrays}, [len(rows)], as_json=as_json)


def _compose(
    publication: Path,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    options: Any,
    trust: ssh_keygen.Trust | None,
) -> submissions.Submission:
    """Return the submission; warn about options that only HPS uses."""
    submission = submissions.compose(publication, rows, options, folder=folder, trust=trust)
    for text in submission.warnings:
        warn(text)
    unused = [name for name in _OPTIONS_OF_HPS if getattr(options, name)]
    for step in submission.steps:
        unused += [name for name in _KEYS_OF_HPS if getattr(step, name)]
    if submission.priority:
        unused.append("priority")
    for name in sorted(set(unused)):
        warn(f"{name.replace('_', '-')} has no effect on Slurm")
    return submission


def _default_folder(name: str) -> Path:
    """Return the folder of a campaign without --folder."""
    return Path(f"{name}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}")
