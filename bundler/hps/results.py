"""What jobs left: their output files, checked and named safely, and one table of parameters and results."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansys.hps.client.jms import ProjectApi

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.errors import HpsFault
from bundler.hps.watch import CONSOLE
from bundler.progress import Progress
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from ansys.hps.client import Client

TABLE = "results.csv"
# Files of one transfer: enough to keep the worker busy, few enough to lose little when it breaks off.
_BATCH = 64
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# What jobs without a name of their own are called.
_NUMBERED = re.compile(r"job-number-", re.IGNORECASE)
# Of many files that are bad, so many tell enough.
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a job left: where it goes below the output folder, and where and what it is in the storage."""

    path: str
    source: str
    size: int
    checksum: str


def fetch(client: Client, project: str, folder: Path) -> Generator[Progress, None, tuple[int, Path]]:
    """Download the outputs of every job of `project` below `folder`; return how many, and the table of all jobs.

    What is there whole already is left alone. Raises `HpsFault` for names that lead out of a job's folder, in the end
    for files that could not be had whole, and what connecting raises.
    """
    yield Progress(text="Asking for the jobs and their files")
    api = ProjectApi(client, project)
    with explained(client.url):
        jobs = api.get_jobs(as_objects=False, fields=["id", "name", "eval_status", "values"])
        tasks = api.get_tasks(as_objects=False)
        about = api.get_files(as_objects=False) if any(task.get("output_file_ids") for task in tasks) else []
        steps = {each["id"]: str(each.get("name")) for each in api.get_task_definitions(as_objects=False)}
        places = _places(jobs)
        outputs = _outputs(project, places, latest(tasks), {file["id"]: file for file in about}, steps)
        table = _table(jobs, places)
    missing = [output for output in outputs if not _is_here(folder, output)]
    total, done = sum(output.size for output in missing), 0
    bad: dict[str, str] = {}
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        bad |= _download(client, folder, batch)
        done += sum(output.size for output in batch)
        yield Progress(text=f"Downloading {len(missing)} files", done=done, total=total)
    path = folder / TABLE
    files.write(path, table)
    if bad:
        rows = "; ".join(f"{name} ({reason})" for name, reason in sorted(bad.items())[:_NAMED])
        raise HpsFault(
            f"{len(bad)} of {len(outputs)} files", f"could not be had: {rows}", "The others are there; fetch again."
        )
    return len(outputs), path


def latest(tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last task of each step of each job: of trials, and of jobs that were run again."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for task in sorted(tasks, key=lambda task: (str(task.get("creation_time") or ""), task.get("trial_number") or 0)):
        found[str(task.get("job_id")), str(task.get("task_definition_id"))] = task
    return list(found.values())


def _places(jobs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the folder of each job, by its id: its name where that is plain and nobody else's, else a number."""
    names = [str(job.get("name") or "") for job in jobs]
    folded = [name.casefold() for name in names]
    return {
        job["id"]: name
        if _PLAIN.fullmatch(name) and not _NUMBERED.match(name) and folded.count(name.casefold()) == 1 and name != TABLE
        else f"job-number-{number}"
        for number, (job, name) in enumerate(zip(jobs, names, strict=True), 1)
    }


def _outputs(
    project: str,
    places: dict[str, str],
    tasks: Sequence[dict[str, Any]],
    about: dict[str, dict[str, Any]],
    steps: dict[str, str],
) -> list[Output]:
    found: dict[str, Output] = {}
    bad = []
    for task in tasks:
        for identity in task.get("output_file_ids") or []:
            file = about.get(identity)
            if file is None or not file.get("hash") or task.get("job_id") not in places:
                continue  # declared and never made
            name = str(file.get("evaluation_path") or file.get("name") or "")
            step = steps.get(task.get("task_definition_id") or "", "")
            if name == CONSOLE and len(steps) > 1 and _PLAIN.fullmatch(step):
                name = f"{step}/{name}"  # each step has its own
            if not files.safe_path(name):
                bad.append(name)
                continue
            path = f"{places[task['job_id']]}/{name}"
            found[path] = Output(
                path=path,
                source=f"{project}/{str(file['storage_id']).rpartition('/')[2]}",
                size=int(file.get("size") or 0),
                checksum=str(file["hash"]).casefold(),
            )
    if bad:
        names = ", ".join(sorted({repr(name) for name in bad}))
        raise HpsFault(
            "The server", f"names output files that lead out of a job's folder: {names}", "Nothing was downloaded."
        )
    return list(found.values())


def _is_here(folder: Path, output: Output) -> bool:
    path = folder / output.path
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == output.size
        and transfer.checksum(path) == output.checksum
    )


def _download(client: Client, folder: Path, batch: Sequence[Output]) -> dict[str, str]:
    """Download the files of `batch`, together or, where that fails, one by one; return why some could not be had."""
    try:
        return _download_together(client, folder, batch)
    except HpsFault as fault:
        if len(batch) == 1:
            return {batch[0].path: fault.fact}
    bad: dict[str, str] = {}
    for output in batch:
        bad |= _download(client, folder, [output])
    return bad


def _download_together(client: Client, folder: Path, batch: Sequence[Output]) -> dict[str, str]:
    bad = {}
    targets = {output.source: files.beside(folder / output.path) for output in batch}
    try:
        for target in targets.values():
            with files.explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            if not target.parent.resolve().is_relative_to(folder.resolve()):
                raise HpsFault(str(target.parent), "leads out of the output folder", "Remove the link.")
        transfer.download(client, targets)
        for output in batch:
            partial = targets[output.source]
            if partial.is_file() and transfer.checksum(partial) == output.checksum:
                with files.explained(partial):
                    partial.replace(folder / output.path)
            else:
                bad[output.path] = "its checksum differs"
    finally:
        for target in targets.values():
            target.unlink(missing_ok=True)
    return bad


def _table(jobs: Sequence[dict[str, Any]], places: dict[str, str]) -> bytes:
    names = sorted({str(name) for job in jobs for name in job.get("values") or {}})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["job", "status", *(_cell(f"value of {name}" if name in ("job", "status") else name) for name in names)]
    )
    for job in sorted(jobs, key=lambda job: places[job["id"]]):
        values = job.get("values") or {}
        writer.writerow(
            [places[job["id"]], _cell(job["eval_status"]), *(_cell(values.get(name, "")) for name in names)]
        )
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    """Return `value` as a spreadsheet shows it and does not run it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
