"""The folder of a campaign on shared storage: its jobs, what runs them, and what they leave."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.errors import BundlerError, JobError
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.jobs.table import TABLE
from bundler.layout import PUBLICATION, RUN_SHELL
from bundler.publications.execution import render_batch, render_run
from wheelhouse import atomic, files
from wheelhouse.errors import FileError

JOBS, TASK, RUN = "jobs.json", "task.py", "run.py"
STATES, SUBMISSIONS, LOGS, INPUTS, FOLDERS = "states", "submissions", "logs", "inputs", "jobs"
# Bytes; the table of 100,000 jobs has a tenth of this.
_LIMIT = 512 << 20
# What the table of a campaign has besides its jobs and steps.
_KEYS = ("publication", "name", "options", "parameters", "output_parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """The campaign in `folder`; `table` is what nodes read, `options` are words for sbatch."""

    folder: Path
    table: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """The name of each job, by its row."""
        return [job["name"] for job in self.table["jobs"]]


def draft(submission: Submission, folder: Path, options: Sequence[str]) -> Campaign:
    """Return the campaign of `submission` that `write_campaign` would write. Raises `FileError`."""
    assert submission.folder is not None  # noqa: S101 - it is of a publication
    described = json.loads(files.read_plain(submission.folder / PUBLICATION, _LIMIT))
    table = _table(submission, options, described["path"])
    return Campaign(folder=folder.absolute(), table=table)


def write_campaign(submission: Submission, folder: Path, options: Sequence[str]) -> Campaign:
    """Write `submission` to the new folder `folder`; `options` are the words for sbatch. Raises `FileError`."""
    campaign = draft(submission, folder, options)
    assert submission.folder is not None  # noqa: S101 - it is of a publication
    described = json.loads(files.read_plain(submission.folder / PUBLICATION, _LIMIT))
    with atomic.building(folder, replace=False) as fresh, files.explained(folder):
        for name in (STATES, SUBMISSIONS, LOGS, INPUTS, FOLDERS):
            (fresh / name).mkdir()
        for path, stored in _inputs(submission).items():
            files.copy(path, fresh / INPUTS / stored)
        atomic.write(fresh / TASK, render_batch(described))
        atomic.write(fresh / RUN, render_run(described))
        shell = files.read_plain(submission.folder / RUN_SHELL, _LIMIT)
        atomic.write(fresh / RUN_SHELL, shell)
        atomic.write(
            fresh / JOBS, json.dumps(campaign.table, indent=1, default=str).encode() + b"\n"
        )
    return campaign


def open_campaign(folder: Path) -> Campaign:
    """Return the campaign in `folder`. Raises `BundlerError` if there is none."""
    try:
        table = json.loads(files.read_plain(folder / JOBS, _LIMIT))
        names = [str(entry["name"]) for entry in (*table["jobs"], *table["steps"])]
        is_whole = all(map(table.__contains__, _KEYS))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FileError) as error:
        raise _no_campaign(folder) from error
    if not is_whole:
        raise _no_campaign(folder)
    if not all(files.safe_path(name) and "/" not in name for name in names):
        raise BundlerError(f"{folder}: {JOBS} has names that are no names of folders")
    return Campaign(folder=folder.absolute(), table=table)


def _no_campaign(folder: Path) -> BundlerError:
    return BundlerError(
        f"{folder} is not the folder of a campaign",
        hint="give the folder that `bundler slurm submit` printed",
    )


def require_possible(submission: Submission, folder: Path) -> None:
    """Raise `JobError` for what Slurm has nothing for, `BundlerError` if `folder` exists."""
    if folder.exists():
        raise BundlerError(f"{folder} exists", hint="choose another --folder")
    wrong = sorted(set("\n\"'\\%") & set(str(folder.absolute())))
    if wrong:
        raise BundlerError(
            f"{folder} has {wrong[0]!r} in its path, which Slurm reads in a way of its own",
            hint="choose another --folder",
        )
    problems = []
    for job in submission.jobs:
        if (job.name or "").casefold() == TABLE:
            problems.append(f"a job is called {job.name}, which is the name of the table")
    if submission.mappings:
        problems.append("parameter-mappings are of HPS; let the script write its input files")
    for step in submission.steps:
        if step.success_expressions:
            problems.append(
                f"{step.title}: success-expressions are of HPS; let the script check them"
            )
    if problems:
        raise JobError("these jobs need HPS", facts=problems)


def _inputs(submission: Submission) -> dict[Path, str]:
    """Return the name in the campaign of each input file, which several jobs may share."""
    paths: dict[Path, None] = dict.fromkeys(submission.files.values())
    for job in submission.jobs:
        paths.update(dict.fromkeys(job.files.values()))
    return {path: f"{number}-{path.name}" for number, path in enumerate(paths)}


def _table(submission: Submission, options: Sequence[str], place: str) -> dict[str, Any]:
    """Return what nodes read."""
    stored = _inputs(submission)
    width = len(str(len(submission.jobs)))
    jobs = []
    for number, job in enumerate(submission.jobs, 1):
        jobs.append(
            {
                "name": job.name or f"job-{number:0{width}}",
                "note": job.note or "",
                "values": job.values,
                "files": {name: stored[path] for name, path in job.files.items()},
            }
        )
    return {
        "publication": place,
        "name": submission.publication,
        "options": list(options),
        "files": {name: stored[path] for name, path in submission.files.items()},
        "steps": list(map(_step, submission.steps)),
        "parameters": [parameter.name for parameter in submission.parameters],
        "output_parameters": {each.name: each.type for each in submission.output_parameters},
        "jobs": jobs,
    }


def _step(step: Step) -> dict[str, Any]:
    environment = {
        name: value for name, value in step.environment.items() if not name.startswith("BUNDLER_")
    }
    nulls = [parameter.name for parameter in step.output_parameters]
    return {
        "name": step.title,
        "script": step.script,
        "arguments": list(step.arguments),
        "environment": environment,
        "inputs": list(step.inputs),
        "outputs": list(step.products),
        "required": list(step.outputs),
        "cores": step.cores,
        "memory": step.memory,
        "disk": step.disk,
        "timeout": step.timeout,
        "job_resources": bool(step.job_resources),
        "nulls": nulls if step.null_output_parameters else [],
        "execution_context": dict(step.execution_context),
    }


def batch_script(campaign: Campaign, number: int, count: int, limit: int | None) -> str:
    """Return the script for sbatch of the submission `number`: `count` jobs as an array, `limit` of them at once."""
    folder = shlex.quote(str(campaign.folder))
    throttle = f"%{limit}" if limit else ""
    directives = [
        f"--job-name={campaign.table['name']}",
        f"--array=0-{count - 1}{throttle}",
        f"--output={campaign.folder}/{LOGS}/%A_%a.txt",
        "--export=PATH,HOME,USER,LANG",
        "--requeue",
        *campaign.table["options"],
    ]
    lines = ["#!/bin/sh", *(f"#SBATCH {_directive(word)}" for word in directives)]
    publication = shlex.quote(campaign.table["publication"])
    text = _SCRIPT.replace("@FOLDER@", folder).replace("@PUBLICATION@", publication)
    return "\n".join(lines) + text.replace("@NUMBER@", str(number))


def _directive(word: str) -> str:
    """Return `word` as sbatch reads it: in quotes if it has spaces."""
    name, equals, value = word.partition("=")
    if equals and any(character in value for character in " \t#"):
        return f'{name}="{value}"'
    return word


# The rows of the table are in a file, since a list of array indices may be too long for Slurm.
_SCRIPT = """
folder=@FOLDER@
row=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$folder/submissions/@NUMBER@.rows")
export BUNDLER_PUBLICATION=@PUBLICATION@
for python in python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2> /dev/null; then
        exec "$python" "$folder/task.py" "$row"
    fi
done
exec sh "$folder/run.sh" --python "$folder/task.py" "$row"
"""
