"""Fetch the output files of jobs, compare their checksums, and write a table of all jobs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.errors import HpsError, files_failed
from bundler.hps.failures import split_error
from bundler.hps.outputs import (
    FILE_FIELDS,
    JOB_FIELDS,
    TABLE,
    TASK_FIELDS,
    Output,
    latest,
    outputs_of,
    places_of,
    table_of,
)
from bundler.hps.resources import hosts_of
from bundler.hps.watch import FAILED
from bundler.node.errors import ERROR_FILE
from bundler.progress import Progress, Report
from bundler.units import counted
from wheelhouse import atomic, files
from wheelhouse.errors import FileError

# Files per transfer: enough to keep the worker busy, few enough to lose little when it fails.
_BATCH = 64
# Errors of the disk that are due to the name of a file; others concern every file.
_OF_THE_NAME = (
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.EINVAL, errno.EILSEQ, errno.ELOOP),
)


def fetch(
    client: Client, project: str, folder: Path, names: Collection[str] = (), *, failed: bool = False, report: Report
) -> tuple[int, Path]:
    """Download the outputs of the jobs of `project` to `folder`; return the number of files and the table of all jobs.

    With `names` or `failed`, only the outputs of these jobs are downloaded. Complete files are skipped. Raises
    `files_failed` at the end for files with unusable names or wrong checksums, when all others are complete, and the
    errors of connecting.
    """
    report(Progress(text="Listing jobs and their files"))
    api = ProjectApi(client, project)
    with explained(client.url):
        jobs = api.get_jobs(as_objects=False, fields=[*JOB_FIELDS])
        tasks = api.get_tasks(as_objects=False, fields=[*TASK_FIELDS])
        has_outputs = any(task.get("output_file_ids") for task in tasks)
        about = api.get_files(as_objects=False, fields=[*FILE_FIELDS]) if has_outputs else []
        definitions = api.get_task_definitions(as_objects=False, fields=["id", "name"])
        steps = {definition["id"]: str(definition.get("name")) for definition in definitions}
        places = places_of(jobs)
        table_of(jobs, places, {}, {})  # Fails early for jobs of an odd form.
        selection = _select(project, jobs, names, failed=failed)
        wanted = {job["id"]: places[job["id"]] for job in selection}
        outputs, refused = outputs_of(project, wanted, latest(tasks), {file["id"]: file for file in about}, steps)
    missing = [output for output in outputs if not _is_here(folder, output)]
    total, done = sum(output.size for output in missing), 0
    bad: dict[str, str] = {}
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        bad |= _download(client, folder, batch)
        done += sum(output.size for output in batch)
        report(Progress(text=f"Downloading {counted(len(missing), 'file')}", done=done, total=total))
    path = folder / TABLE
    atomic.write(path, table_of(jobs, places, _reasons(folder, jobs, places), hosts_of(client)))
    if bad or refused:
        raise files_failed(len(outputs) + len(refused), [*refused, *bad.items()])
    return len(outputs), path


def _select(
    project: str, jobs: Sequence[dict[str, Any]], names: Collection[str], *, failed: bool
) -> list[dict[str, Any]]:
    """Return the jobs with `names`, or all; with `failed` only the failed ones. Raises `HpsError`."""
    unknown = sorted(set(names) - {str(job.get("name")) for job in jobs})
    if unknown:
        raise HpsError(project, f"has no job {', '.join(unknown)}", "see results.csv for the names of jobs")
    return [job for job in jobs if (not names or job["name"] in names) and (not failed or job["eval_status"] in FAILED)]


def _reasons(folder: Path, jobs: Sequence[dict[str, Any]], places: dict[str, str]) -> dict[str, str]:
    """Return why jobs failed, by ID, from the error files that were fetched."""
    reasons = {}
    for job in jobs:
        if job["eval_status"] in FAILED:
            for path in sorted((folder / places[job["id"]]).glob(f"**/{ERROR_FILE}")):
                node, reason, _ = split_error(files.read_plain(path, files.LARGEST_INPUT).decode(errors="replace"))
                reasons[job["id"]] = f"{reason} (node {node})" if node else reason
    return reasons


def _is_here(folder: Path, output: Output) -> bool:
    path = folder / output.path
    try:
        same_size = path.is_file() and not path.is_symlink() and path.stat().st_size == output.size
    except OSError:
        return False
    return same_size and transfer.checksum(path) == output.checksum


def _download(client: Client, folder: Path, batch: Sequence[Output]) -> dict[str, str]:
    """Download the files of `batch`, together or, if that fails, one by one; return the reason for each failure."""
    try:
        return _download_together(client, folder, batch)
    except HpsError as error:
        if len(batch) == 1:
            return {batch[0].path: error.fact}
    except FileError as error:
        if error.error.errno not in _OF_THE_NAME:
            raise
        if len(batch) == 1:
            return {batch[0].path: error.error.strerror or str(error.error)}
    bad: dict[str, str] = {}
    for output in batch:
        bad |= _download(client, folder, [output])
    return bad


def _download_together(client: Client, folder: Path, batch: Sequence[Output]) -> dict[str, str]:
    bad = {}
    targets = {output.source: atomic.beside(folder / output.path) for output in batch}
    try:
        for target in targets.values():
            with files.explained(target):
                files.make_folder(target.parent)
            if not files.real(target.parent).is_relative_to(files.real(folder)):
                raise HpsError(str(target.parent), "is outside of the output folder", "remove the link")
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
