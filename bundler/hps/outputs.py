"""The outputs of jobs as the server describes them: files with safe names, and a table of parameters and results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bundler.hps.redaction import plain
from bundler.jobs.table import CONSOLE, TABLE, Record
from bundler.node.errors import ERROR_FILE
from wheelhouse import files

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# The fields of jobs, tasks and files that are read; all fields of 10,000 jobs have 15 MB.
JOB_FIELDS = (
    "id",
    "name",
    "eval_status",
    "values",
    "fitness",
    "elapsed_time",
    "host_ids",
    "note",
)
TASK_FIELDS = (
    "id",
    "job_id",
    "task_definition_id",
    "creation_time",
    "trial_number",
    "output_file_ids",
)
FILE_FIELDS = ("id", "name", "evaluation_path", "hash", "size", "storage_id")
# The folder of a job without a usable name.
_NUMBERED = re.compile(r"job-number-", re.IGNORECASE)
# Characters of a refused name that are shown.
_SHOWN = 60
# Limits of every file system, minus the output folder: PATH_MAX is 4096 on Linux and 1024 on macOS.
_LEVELS, _COMPONENT_BYTES, _PATH_BYTES = 32, 255, 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output file of a job: its path below the output folder, and its location, size and checksum in the storage."""

    path: str
    source: str
    size: int
    checksum: str


def location(project: str, storage_id: object) -> str:
    """Return the path in the storage of a file of `project`."""
    return f"{project}/{str(storage_id).rpartition('/')[2]}"


def latest(tasks: Sequence[Record]) -> list[Record]:
    """Return the last task of each step of each job; earlier ones are trials or previous runs."""
    result: dict[tuple[str, str], Record] = {}
    for task in sorted(tasks, key=_age):
        result[str(task.get("job_id")), str(task.get("task_definition_id"))] = task
    return list(result.values())


def _age(task: Record) -> tuple[str, Any]:
    return str(task.get("creation_time") or ""), task.get("trial_number") or 0


def places_of(jobs: Sequence[Record]) -> dict[str, str]:
    """Return the folder of each job by its ID: its name if that is plain and unique, or a number."""
    names = [str(job.get("name") or "") for job in jobs]
    uses = Counter(map(str.casefold, names))
    places = {}
    for number, (job, name) in enumerate(zip(jobs, names, strict=True), 1):
        place = f"job-number-{number}"
        if uses[name.casefold()] == 1 and _can_be_a_folder(name):
            place = name
        places[job["id"]] = place
    return places


def _can_be_a_folder(name: str) -> bool:
    if name == TABLE or _NUMBERED.match(name):
        return False
    return bool(_PLAIN.fullmatch(name))


def outputs_of(
    project: str,
    places: dict[str, str],
    tasks: Sequence[Record],
    about: dict[str, Record],
    steps: dict[str, str],
) -> tuple[list[Output], list[tuple[str, str]]]:
    """Return the output files of `tasks`, and the name and reason for each whose name cannot be used.

    `places` are the folders of jobs, `about` the server's records of files, `steps` the names of task definitions, all
    by ID.
    """
    result: dict[str, Output] = {}
    refused = []
    for task in tasks:
        for identity in task.get("output_file_ids") or []:
            file = about.get(identity)
            if not file or not file.get("hash") or task.get("job_id") not in places:
                continue  # Declared, but never written.
            place = places[task["job_id"]]
            name = _name_of(file, task, steps)
            fault = _fault_of(name)
            if fault:
                refused.append((f"{place}: {plain(name)[:_SHOWN]!r}", fault))
                continue
            path = f"{place}/{name}"
            result[path] = Output(
                path=path,
                source=location(project, file["storage_id"]),
                size=int(file.get("size") or 0),
                checksum=str(file["hash"]).casefold(),
            )
    return list(result.values()), refused


def _name_of(
    file: Record,
    task: Record,
    steps: dict[str, str],
) -> str:
    """Return the path of `file` in the folder of the job; what each step writes is in a folder of the step."""
    name = str(file.get("evaluation_path") or file.get("name") or "")
    step = steps.get(task.get("task_definition_id") or "", "")
    if name in (CONSOLE, ERROR_FILE) and len(steps) > 1 and _PLAIN.fullmatch(step):
        return f"{step}/{name}"
    return name


def _fault_of(name: str) -> str:
    """Return why `name` cannot be the path of a file in a job's folder, or ""."""
    if not files.safe_path(name):
        return "the name is not a plain path inside the job's folder"
    levels = 1 + name.count("/")
    if levels > _LEVELS:
        return f"the name has {levels} levels (at most {_LEVELS})"
    if max(map(len, name.encode().split(b"/"))) > _COMPONENT_BYTES:
        return f"a component of the name is longer than {_COMPONENT_BYTES} bytes"
    if len(name.encode()) > _PATH_BYTES:
        return f"the name is longer than {_PATH_BYTES} bytes"
    return ""
