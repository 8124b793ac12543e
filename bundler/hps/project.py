"""Create HPS projects: inactive first, activated when complete, deleted if anything fails."""

from __future__ import annotations

import mimetypes
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ansys.hps.client import Client
from ansys.hps.client.jms import File, JmsApi, Job, JobDefinition, Project, ProjectApi

from bundler.hps import transfer
from bundler.hps.batches import batches
from bundler.hps.connection import explained
from bundler.hps.definitions import (
    fitness_definition,
    mapping_definition,
    parameter_definition,
    task_definition,
    without_none,
)
from bundler.hps.errors import HpsError
from bundler.hps.outputs import location
from bundler.hps.redaction import plain
from bundler.jobs.job import Job as Description
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from bundler.node.errors import ERROR_FILE
from bundler.progress import Progress, Report
from bundler.units import counted

# Jobs per request: a few hundred kB, and about a second for the server.
BATCH = 1000
# Job definitions per request; each has all fields of its tasks.
_DEFINED = 100
# A file by its path in the folder of a job, and where it is on this machine.
_File: TypeAlias = "tuple[str, Path]"
# The input files of a job that other jobs do not have.
_Variant: TypeAlias = "tuple[_File, ...]"


def page(client: Client, project: str) -> str:
    """Return the URL of a project in the web interface. This is not documented, so it is a guess."""
    return f"{client.url.rstrip('/')}/#/projects/{project}/jobs"


def submit(
    client: Client,
    submission: Submission,
    name: str,
    *,
    replace: bool = False,
    report: Report,
) -> str:
    """Create the HPS project `name` with the jobs of `submission`; return its ID when it is complete and active.

    With `replace`, projects of the same name are deleted once the new one is complete. Raises `HpsError`; a partly
    created project is deleted then, and also if the caller closes the generator.
    """
    with explained(client.url):
        jms = JmsApi(client)
        existing = _ids(jms.get_projects(name=name, fields=["id"], as_objects=False))
    if existing and not replace:
        known = ", ".join(map(plain, sorted(existing)))
        raise HpsError(
            name,
            f"an HPS project of this name already exists ({known})",
            "choose another --name, or use --replace, which deletes the project and its results",
        )
    # A unique name lets us find the project again even if the server's answer is lost.
    working = f"{name} ({secrets.token_hex(6)})"
    try:
        with explained(client.url):
            settings = without_none(priority=submission.priority)
            project = Project(name=working, active=False, **settings)
            identity = str(jms.create_project(project).id)
        _fill(client, identity, submission, report=report)
        if not existing:
            _activate(client, jms, identity, name)
    except BaseException as error:
        _delete_begun(client, jms, working, error)
        raise
    if existing:
        _replace(client, jms, existing, identity, name, working)
    return identity


def _replace(
    client: Client,
    jms: JmsApi,
    existing: Sequence[str],
    project: str,
    name: str,
    working: str,
) -> None:
    """Delete the projects `existing` and give their `name` to the new `project`, which is complete and stays."""
    remaining = list(existing)
    try:
        with explained(client.url):
            while remaining:
                jms.delete_project(Project(id=remaining[0]))
                del remaining[0]
        _activate(client, jms, project, name)
    except HpsError as error:
        fact = f"{error.fact}, so the new HPS project {working!r} is complete but inactive"
        steps = f"rename {plain(project)} to {name!r} and activate it"
        if remaining:
            steps = f"delete {', '.join(map(plain, remaining))}, then {steps}"
        raise HpsError(client.url, fact, f"in the web interface, {steps}") from error


def _activate(
    client: Client,
    jms: JmsApi,
    project: str,
    name: str,
) -> None:
    with explained(client.url):
        complete = Project(id=project, name=name, active=True)
        jms.update_project(complete)


def _delete_begun(
    client: Client,
    jms: JmsApi,
    working: str,
    error: BaseException,
) -> None:
    """Delete the partly created project. Raises `HpsError` if that fails, too."""
    try:
        with explained(client.url):
            for project in jms.get_projects(name=working, fields=["id"], as_objects=False):
                jms.delete_project(Project(id=project["id"]))
    except HpsError as second:
        why = type(error).__name__
        if isinstance(error, HpsError):
            why = error.fact
        fact = f"{why}, and the incomplete HPS project {working!r} could not be deleted ({second.fact})"
        raise HpsError(client.url, fact, "delete it in the web interface") from error


def _fill(
    client: Client,
    project: str,
    submission: Submission,
    *,
    report: Report,
) -> None:
    api = ProjectApi(client, project)
    uploads = _uploads(submission)
    report(Progress(text=f"Uploading {counted(1 + len(uploads), 'file')}"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, EXEC_SCRIPT)
        path.write_bytes(submission.exec_script)
        script = (EXEC_SCRIPT, path)
        inputs = _upload(client, api, [script, *uploads])
    with explained(client.url):
        outputs = _declare_outputs(api, submission)
        parameters = _declare_parameters(api, submission)
    # Input files belong to task definitions, so jobs with other input files need a job definition of their own.
    variants = list(dict.fromkeys(map(_files_of, submission.jobs)))
    definitions: dict[_Variant, str] = {}
    for batch in batches(variants, _DEFINED):
        folders = []
        for variant in batch:
            files = (script, *submission.files.items(), *variant)
            folders.append({file[0]: inputs[file] for file in files})
        with explained(client.url):
            made = _define(
                api,
                submission,
                folders,
                outputs,
                parameters,
                len(definitions),
            )
            definitions.update(zip(batch, made, strict=True))
        if len(variants) > _DEFINED:
            report(
                Progress(
                    text=f"Defining jobs for {len(variants)} sets of input files: {len(definitions)}"
                )
            )
    _create_jobs(client, api, submission.jobs, definitions, report=report)


def _uploads(submission: Submission) -> list[_File]:
    """Return each input file once, with its path in the folder of a job."""
    uploads = dict.fromkeys(submission.files.items())
    for job in submission.jobs:
        uploads.update(dict.fromkeys(job.files.items()))
    return list(uploads)


def _files_of(job: Description) -> _Variant:
    return tuple(sorted(job.files.items()))


def _upload(
    client: Client,
    api: ProjectApi,
    uploads: Sequence[_File],
) -> dict[_File, str]:
    """Upload files; return their IDs."""
    records: list[File] = []
    places: list[str] = []
    paths: dict[str, Path] = {}
    with explained(client.url):
        for batch in batches(uploads, BATCH):
            # Without contents, since the client would wait forever for their transfer.
            records += api.create_files([_record(name) for name, _ in batch])
        for (_, path), record in zip(uploads, records, strict=True):
            place = location(api.project_id, record.storage_id)
            places.append(place)
            paths[place] = path.absolute()
    received = transfer.upload(client, paths)
    for (_, path), place, record in zip(uploads, places, records, strict=True):
        record.hash, record.size = received[place]
        if record.hash.casefold() != transfer.checksum(path):
            raise HpsError(
                client.url, f"{path.name} was damaged while it was uploaded", "try again"
            )
    with explained(client.url):
        for described in batches(records, BATCH):
            api.update_files(described, as_objects=False)
    return {upload: str(record.id) for upload, record in zip(uploads, records, strict=True)}


def _declare_outputs(api: ProjectApi, submission: Submission) -> dict[str, str]:
    """Declare what steps write; return file IDs by name."""
    monitored: set[str] = set()
    names: list[str] = []
    for step in submission.steps:
        monitored.update(step.monitor)
        names += step.products
    names = list(dict.fromkeys([*names, ERROR_FILE]))
    records = [_record(name, collect=True, monitor=name in monitored) for name in names]
    files = api.create_files(records)
    return {name: str(file.id) for name, file in zip(names, files, strict=True)}


def _record(name: str, **options: bool) -> File:
    """Return a file that is called `name` in the folder of a job."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return File(name=name, evaluation_path=name, type=kind, **options)


def _declare_parameters(api: ProjectApi, submission: Submission) -> dict[str, str]:
    """Declare the parameters of jobs; return their IDs by name."""
    definitions = []
    for mode, parameters in (
        ("input", submission.parameters),
        ("output", submission.output_parameters),
    ):
        definitions += [parameter_definition(parameter, mode) for parameter in parameters]
    identities = _ids(api.create_parameter_definitions(definitions, as_objects=False))
    names = [
        parameter.name for parameter in (*submission.parameters, *submission.output_parameters)
    ]
    return dict(zip(names, identities, strict=True))


def _ids(tables: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the IDs of what was created, as tables: the models of the client reject the fields of newer servers."""
    return [str(table["id"]) for table in tables]


def _define(
    api: ProjectApi,
    submission: Submission,
    folders: Sequence[Mapping[str, str]],
    outputs: Mapping[str, str],
    parameters: Mapping[str, str],
    start: int,
) -> list[str]:
    """Create the task definitions and job definitions of jobs in `folders`: file IDs by name; return their IDs.

    `start` is the number of job definitions that exist already.
    """
    tasks = []
    for inputs in folders:
        tasks += [task_definition(submission, step, inputs, outputs) for step in submission.steps]
    created = _ids(api.create_task_definitions(tasks, as_objects=False))
    mapped = _map_parameters(api, submission, folders, outputs, parameters)
    options: dict[str, Any] = {}
    if submission.fitness:
        options["fitness_definition"] = fitness_definition(submission.fitness)
    definitions = []
    tasks_of = batches(created, len(submission.steps))
    for number, (ids, mapping_ids) in enumerate(zip(tasks_of, mapped, strict=True), start + 1):
        name = submission.publication
        if number > 1:
            name += f" {number}"
        if mapping_ids:
            options["parameter_mapping_ids"] = mapping_ids
        definitions.append(
            JobDefinition(
                name=name,
                active=True,
                task_definition_ids=ids,
                parameter_definition_ids=list(parameters.values()),
                **options,
            )
        )
    return _ids(api.create_job_definitions(definitions, as_objects=False))


def _map_parameters(
    api: ProjectApi,
    submission: Submission,
    folders: Sequence[Mapping[str, str]],
    outputs: Mapping[str, str],
    parameters: Mapping[str, str],
) -> list[list[str]]:
    """Create the parameter mappings for the files in each of `folders`; return their IDs for each."""
    if not submission.mappings:
        return [[] for _ in folders]
    definitions = []
    for inputs in folders:
        for mapping in submission.mappings:
            # What an earlier step writes is an output file, also for the steps that read it.
            file = outputs.get(mapping.file) or inputs[mapping.file]
            definitions.append(mapping_definition(mapping, file, parameters[mapping.parameter]))
    identities = _ids(api.create_parameter_mappings(definitions, as_objects=False))
    return [list(ids) for ids in batches(identities, len(submission.mappings))]


def _create_jobs(
    client: Client,
    api: ProjectApi,
    descriptions: Sequence[Description],
    definitions: Mapping[_Variant, str],
    *,
    report: Report,
) -> None:
    """Create jobs with the `definitions` for their input files, ready to run."""
    width = len(str(len(descriptions)))
    number = 0
    for batch in batches(descriptions, BATCH):
        jobs = []
        for job in batch:
            number += 1
            options = without_none(note=job.note, priority=job.priority)
            jobs.append(
                Job(
                    name=job.name or f"job-{number:0{width}}",
                    values=job.values,
                    eval_status="pending",
                    job_definition_id=definitions[_files_of(job)],
                    **options,
                )
            )
        with explained(client.url):
            api.create_jobs(jobs, as_objects=False)
        report(Progress(text=f"Creating {counted(len(descriptions), 'job')}: {number}"))
