"""Which of its success criteria a job missed whose scripts ended well: outputs that it did not leave."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansys.hps.client.jms import ProjectApi

from bundler.hps.batches import IDS, batches
from bundler.hps.lists import read_all
from bundler.hps.outputs import FILE_FIELDS, TASK_FIELDS, latest
from bundler.hps.redaction import plain
from bundler.jobs.table import Record
from bundler.sources.parameters import TYPES, fits

# Characters of a value that are shown.
_SHOWN = 40
# HPS does not document the state of a task that ran and missed a criterion. The others have not run.
_ENDED = ("failed", "evaluated", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Project:
    """What a project requires and has: task definitions and files by ID, and the output parameters."""

    definitions: Mapping[str, Record]
    files: Mapping[str, Record]
    parameters: Sequence[Record]


def read_unmet(api: ProjectApi, jobs: Sequence[str]) -> dict[str, str]:
    """Return what the failed `jobs` did not leave, by ID; there is no entry for a job that left everything."""
    if not jobs:
        return {}
    records: list[Record] = []
    tasks: list[Record] = []
    for batch in batches(list(jobs), IDS):
        records += read_all(api.get_jobs, id=list(batch), fields=["id", "values"])
        fields = [*TASK_FIELDS, "eval_status"]
        tasks += latest(read_all(api.get_tasks, job_id=list(batch), fields=fields))
    project = _read_project(api, tasks)
    by_job: dict[str, list[Record]] = defaultdict(list)
    for task in tasks:
        by_job[str(task.get("job_id"))].append(task)
    unmet = {}
    for job in records:
        problems: list[str] = []
        for task in by_job[job["id"]]:
            problems += _problems_of(job, task, project)
        if problems:
            unmet[job["id"]] = "; ".join(problems)
    return unmet


def _read_project(api: ProjectApi, tasks: Sequence[Record]) -> _Project:
    """Return what concerns `tasks`."""
    definitions = {}
    fields = ["id", "name", "success_criteria"]
    for definition in read_all(api.get_task_definitions, fields=fields):
        definitions[definition["id"]] = definition
    fields = ["id", "name", "type", "mode"]
    parameters = read_all(api.get_parameter_definitions, fields=fields)
    return _Project(
        definitions=definitions,
        files=_files_of(api, tasks, definitions),
        parameters=[each for each in parameters if each.get("mode") == "output"],
    )


def _problems_of(job: Record, task: Record, project: _Project) -> list[str]:
    """Return a text about each criterion that `task` of `job` missed; the first names the step if there are several."""
    if task.get("eval_status") not in _ENDED:
        return []
    definition = project.definitions.get(task.get("task_definition_id") or "", {})
    problems = [*_missing_files(task, definition, project.files)]
    problems += _wrong_values(job, definition, project.parameters)
    if problems and len(project.definitions) > 1:
        problems[0] = f"{plain(definition.get('name'))}: {problems[0]}"
    return problems


def _files_of(
    api: ProjectApi,
    tasks: Sequence[Record],
    definitions: Mapping[str, Record],
) -> dict[str, Record]:
    """Return the files that `tasks` wrote and the files that `definitions` require, by ID."""
    identities: dict[str, None] = {}
    for definition in definitions.values():
        identities.update(dict.fromkeys(_required(definition)))
    for task in tasks:
        identities.update(dict.fromkeys(map(str, task.get("output_file_ids") or [])))
    files = {}
    for batch in batches(list(identities), IDS):
        for file in read_all(api.get_files, id=list(batch), fields=[*FILE_FIELDS]):
            files[file["id"]] = file
    return files


def _required(definition: Record) -> list[str]:
    criteria = definition.get("success_criteria") or {}
    return list(map(str, criteria.get("required_output_file_ids") or []))


def _missing_files(task: Record, definition: Record, files: Mapping[str, Record]) -> Iterable[str]:
    """Yield a text about each file that `definition` requires and `task` did not write."""
    written = []
    for identity in task.get("output_file_ids") or []:
        file = files.get(identity, {})
        if file.get("hash"):
            written.append(str(file.get("evaluation_path")))
    for identity in _required(definition):
        wanted = str(files.get(identity, {}).get("evaluation_path") or "")
        if wanted and not fnmatch.filter(written, wanted):
            yield f"no output file {plain(wanted)}"


def _wrong_values(job: Record, definition: Record, parameters: Sequence[Record]) -> Iterable[str]:
    """Yield a text about each output parameter that `definition` requires and `job` has no value of its type for."""
    criteria = definition.get("success_criteria") or {}
    # Names or IDs: the documentation of the client says both.
    chosen = set(map(str, criteria.get("required_output_parameter_ids") or []))
    values = job.get("values") or {}
    for parameter in parameters:
        name, kind = str(parameter.get("name")), str(parameter.get("type"))
        is_chosen = name in chosen or str(parameter.get("id")) in chosen
        if not is_chosen and not criteria.get("require_all_output_parameters"):
            continue
        value = values.get(name)
        if value is None:
            yield f"no output parameter {plain(name)}"
        elif kind in TYPES and not fits(value, kind):
            yield f"the output parameter {plain(name)} is not of type {plain(kind)} ({plain(value)[:_SHOWN]})"
