"""Fetch the output files of jobs, compare their checksums, and write a table of all jobs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection, Sequence
from pathlib import Path

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi

from bundler.hps import transfer
from bundler.hps.batches import batches
from bundler.hps.connection import explained
from bundler.hps.criteria import read_unmet
from bundler.hps.errors import HpsError, files_failed
from bundler.hps.failures import split_error
from bundler.hps.lists import read_all
from bundler.hps.outputs import (
    FILE_FIELDS,
    JOB_FIELDS,
    TASK_FIELDS,
    Output,
    latest,
    outputs_of,
    places_of,
)
from bundler.hps.projects import select
from bundler.hps.redaction import plain
from bundler.hps.resources import hosts_of
from bundler.hps.watch import FAILED
from bundler.jobs.console import UNCLEAR, reason_in
from bundler.jobs.table import CONSOLE, TABLE, Record, table_of
from bundler.node.errors import ERROR_FILE
from bundler.progress import Progress, Report
from bundler.units import counted
from wheelhouse import atomic, files
from wheelhouse.errors import FileError

# Files per transfer: enough to keep the worker busy, few enough to lose little when it fails.
_BATCH = 64
# Errors of the disk that are due to the name of a file; others concern every file.
_OF_THE_NAME = (
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.EINVAL,
    errno.EILSEQ,
    errno.ELOOP,
)


def fetch(
    client: Client,
    project: str,
    folder: Path,
    names: Collection[str] = (),
    *,
    failed: bool = False,
    report: Report,
) -> tuple[int, Path]:
    """Download the outputs of the jobs of `project` to `folder`; return the number of files and the table of all jobs.

    With `names` or `failed`, only the outputs of these jobs are downloaded. Complete files are skipped. Raises
    `files_failed` at the end for files with unusable names or wrong checksums, when all others are complete, and the
    errors of connecting.
    """
    report(Progress(text="Listing jobs and their files"))
    api = ProjectApi(client, project)
    with explained(client.url):
        jobs = read_all(api.get_jobs, fields=[*JOB_FIELDS])
        tasks = read_all(api.get_tasks, fields=[*TASK_FIELDS])
        about = _files_of(api, tasks)
        definitions = read_all(api.get_task_definitions, fields=["id", "name"])
        steps = {definition["id"]: str(definition.get("name")) for definition in definitions}
        parameters = _parameters_of(api)
        places = places_of(jobs)
        table_of(jobs, places, {}, {})  # Fails early for jobs of an odd form.
        failures = {job["id"] for job in jobs if job["eval_status"] in FAILED}
        wanted = {}
        for job in select(project, jobs, names):
            identity = job["id"]
            if identity in failures or not failed:
                wanted[identity] = places[identity]
        last = latest(tasks)
        outputs, refused = outputs_of(project, wanted, last, about, steps)
        # Also of jobs whose outputs were fetched before.
        of_failures, _ = outputs_of(
            project, {identity: places[identity] for identity in failures}, last, about, steps
        )
    count = len(outputs) + len(refused)
    refused += _download_missing(client, folder, outputs, report=report)
    path = folder / TABLE
    reasons = _reasons(folder, places, of_failures)
    silent = [
        job["id"] for job in jobs if job["eval_status"] == "failed" and job["id"] not in reasons
    ]
    with explained(client.url):
        reasons |= read_unmet(api, silent)
    table = table_of(jobs, places, reasons, hosts_of(client), parameters)
    atomic.write(path, table)
    if refused:
        raise files_failed(count, refused)
    return len(outputs), path


def _files_of(api: ProjectApi, tasks: Sequence[Record]) -> dict[str, Record]:
    """Return the server's records of all files by ID, which are not requested if `tasks` have written none."""
    if not any(task.get("output_file_ids") for task in tasks):
        return {}
    records = read_all(api.get_files, fields=[*FILE_FIELDS])
    return {record["id"]: record for record in records}


def _download_missing(
    client: Client,
    folder: Path,
    outputs: Sequence[Output],
    *,
    report: Report,
) -> list[tuple[str, str]]:
    """Download those of `outputs` that are not complete in `folder`; return (path, reason) of each that fails."""
    missing = [output for output in outputs if not _is_here(folder, output)]
    total = sum(output.size for output in missing)
    done = 0
    bad: dict[str, str] = {}
    for batch in batches(missing, _BATCH):
        bad.update(_download(client, folder, batch))
        done += sum(output.size for output in batch)
        text = f"Downloading {counted(len(missing), 'file')}"
        report(Progress(text=text, done=done, total=total))
    return list(bad.items())


def _parameters_of(api: ProjectApi) -> list[str]:
    """Return the names of the parameters in the order in which they were declared, inputs before outputs."""
    definitions = {}
    for record in read_all(api.get_parameter_definitions, fields=["id", "name", "mode"]):
        definitions[record["id"]] = record
    inputs: dict[str, None] = {}
    outputs: dict[str, None] = {}
    for job in read_all(api.get_job_definitions, fields=["id", "parameter_definition_ids"]):
        for identity in job.get("parameter_definition_ids") or []:
            definition = definitions.get(identity, {})
            names = outputs if definition.get("mode") == "output" else inputs
            names[str(definition.get("name"))] = None
    return [*inputs, *outputs]


def _reasons(
    folder: Path,
    places: dict[str, str],
    outputs: Sequence[Output],
) -> dict[str, str]:
    """Return why jobs failed, by ID, from the error files among `outputs` of their last tasks that were fetched.

    An error file that is not among them is of an earlier attempt.
    """
    identities = {place: identity for identity, place in places.items()}
    by_path = {output.path: output for output in outputs}
    reasons = {}
    for path, output in sorted(by_path.items()):
        parent, _, name = path.rpartition("/")
        if name != ERROR_FILE:
            continue
        node, reason, _ = split_error(_text_of(folder, output))
        if not reason:
            continue
        if reason == UNCLEAR:
            reason = plain(reason_in(_text_of(folder, by_path.get(f"{parent}/{CONSOLE}"))))
        if node:
            reason += f" (node {node})"
        place, _, step = parent.partition("/")
        if step:
            reason = f"{step}: {reason}"
        reasons[identities[place]] = reason
    return reasons


def _text_of(folder: Path, output: Output | None) -> str:
    """Return the text of `output` in `folder`; "" if it was not fetched, or is too large to be read."""
    if output is None or output.size > files.LARGEST_INPUT or not _is_here(folder, output):
        return ""
    data = files.read_plain(folder / output.path, files.LARGEST_INPUT)
    return data.decode(errors="replace")


def _is_here(folder: Path, output: Output) -> bool:
    path = folder / output.path
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != output.size:
            return False
    except OSError:
        return False
    return transfer.checksum(path) == output.checksum


def _download(
    client: Client,
    folder: Path,
    batch: Sequence[Output],
) -> dict[str, str]:
    """Download the files of `batch`, together or, if that fails, one by one; return the reason for each failure."""
    try:
        return _download_together(client, folder, batch)
    except HpsError as error:
        reason = error.fact
    except FileError as error:
        if error.error.errno not in _OF_THE_NAME:
            raise
        reason = error.error.strerror or str(error.error)
    if len(batch) == 1:
        return {batch[0].path: reason}
    bad: dict[str, str] = {}
    for output in batch:
        bad.update(_download(client, folder, [output]))
    return bad


def _download_together(
    client: Client,
    folder: Path,
    batch: Sequence[Output],
) -> dict[str, str]:
    bad = {}
    targets = {output.source: atomic.beside(folder / output.path) for output in batch}
    try:
        for target in targets.values():
            with files.explained(target):
                files.make_folder(target.parent)
            if not files.real(target.parent).is_relative_to(files.real(folder)):
                raise HpsError(
                    str(target.parent), "is outside of the output folder", "remove the link"
                )
        transfer.download(client, targets)
        for output in batch:
            partial = targets[output.source]
            if partial.is_file() and transfer.checksum(partial) == output.checksum:
                with files.explained(partial):
                    partial.replace(folder / output.path)
            else:
                bad[output.path] = "its checksum is wrong"
    finally:
        for target in targets.values():
            with contextlib.suppress(OSError):
                target.unlink()
    return bad
