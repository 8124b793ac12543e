"""Create HPS projects: inactive first, activated when complete, deleted if anything fails."""

from __future__ import annotations

import mimetypes
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ansys.hps.client import Client
from ansys.hps.client.jms import File, JmsApi, Job, JobDefinition, Project, ProjectApi

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.definitions import fitness_definition, parameter_definition, task_definition, without_none
from bundler.hps.errors import HpsError
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
# The input files of a job that other jobs do not have: their path in its folder, and where they are on this machine.
Variant: TypeAlias = "tuple[tuple[str, Path], ...]"
# The key of the execution script among the input files, of which none has this path.
_SCRIPT = (EXEC_SCRIPT, Path())


def page(client: Client, project: str) -> str:
    """Return the URL of a project in the web interface. This is not documented, so it is a guess."""
    return f"{client.url.rstrip('/')}/#/projects/{project}/jobs"


def submit(client: Client, submission: Submission, name: str, *, replace: bool = False, report: Report) -> str:
    """Create the HPS project `name` with the jobs of `submission`; return its ID when it is complete and active.

    With `replace`, projects of the same name are deleted once the new one is complete. Raises `HpsError`; a partly
    created project is deleted then, and also if the caller closes the generator.
    """
    with explained(client.url):
        jms = JmsApi(client)
        existing = [old["id"] for old in jms.get_projects(name=name, fields=["id"], as_objects=False)]
    if existing and not replace:
        raise HpsError(
            name,
            f"an HPS project of this name already exists ({', '.join(map(plain, sorted(existing)))})",
            "choose another --name, or use --replace, which deletes the project and its results",
        )
    # A unique name lets us find the project again even if the server's answer is lost.
    working = f"{name} ({secrets.token_hex(6)})"
    try:
        with explained(client.url):
            settings = without_none(priority=submission.priority)
            project = jms.create_project(Project(name=working, active=False, **settings))
            identity = str(project.id)
        _fill(client, identity, submission, report=report)
        if not existing:
            _activate(client, jms, identity, name)
    except BaseException as error:
        _delete_begun(client, jms, working, error)
        raise
    if existing:
        _replace(client, jms, existing, identity, name, working)
    return identity


def _replace(client: Client, jms: JmsApi, existing: Sequence[str], project: str, name: str, working: str) -> None:
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
        first = f"delete {', '.join(map(plain, remaining))}, then " if remaining else ""
        hint = f"in the web interface, {first}rename {plain(project)} to {name!r} and activate it"
        raise HpsError(client.url, fact, hint) from error


def _activate(client: Client, jms: JmsApi, project: str, name: str) -> None:
    with explained(client.url):
        jms.update_project(Project(id=project, name=name, active=True))


def _delete_begun(client: Client, jms: JmsApi, working: str, error: BaseException) -> None:
    """Delete the partly created project. Raises `HpsError` if that fails, too."""
    try:
        with explained(client.url):
            for project in jms.get_projects(name=working, fields=["id"], as_objects=False):
                jms.delete_project(Project(id=project["id"]))
    except HpsError as second:
        why = error.fact if isinstance(error, HpsError) else type(error).__name__
        fact = f"{why}, and the incomplete HPS project {working!r} could not be deleted ({second.fact})"
        raise HpsError(client.url, fact, "delete it in the web interface") from error


def _fill(client: Client, project: str, submission: Submission, *, report: Report) -> None:
    api = ProjectApi(client, project)
    uploads = _uploads(submission)
    report(Progress(text=f"Uploading {counted(1 + len(uploads), 'file')}"))
    inputs = _upload(client, api, submission.exec_script, uploads)
    with explained(client.url):
        outputs = _declare_outputs(api, submission)
        described = [parameter_definition(parameter, "input") for parameter in submission.parameters]
        described += [parameter_definition(parameter, "output") for parameter in submission.output_parameters]
        # As tables: the models of the client reject the fields of newer servers.
        parameters = [str(table["id"]) for table in api.create_parameter_definitions(described, as_objects=False)]
    # Input files belong to task definitions, so jobs with other input files need a job definition of their own.
    variants = list(dict.fromkeys(_files_of(job) for job in submission.jobs))
    definitions: dict[Variant, str] = {}
    for start in range(0, len(variants), _DEFINED):
        batch = variants[start : start + _DEFINED]
        with explained(client.url):
            definitions |= _define(api, submission, batch, inputs, outputs, parameters, start)
        if len(variants) > _DEFINED:
            report(Progress(text=f"Defining jobs for {len(variants)} sets of input files: {start + len(batch)}"))
    width = len(str(len(submission.jobs)))
    for start in range(0, len(submission.jobs), BATCH):
        jobs = [
            Job(
                name=job.name or f"job-{number:0{width}}",
                values=job.values,
                eval_status="pending",
                job_definition_id=definitions[_files_of(job)],
                **without_none(note=job.note, priority=job.priority),
            )
            for number, job in enumerate(submission.jobs[start : start + BATCH], start + 1)
        ]
        with explained(client.url):
            api.create_jobs(jobs, as_objects=False)
        report(Progress(text=f"Creating {counted(len(submission.jobs), 'job')}: {start + len(jobs)}"))


def _files_of(job: Description) -> Variant:
    return tuple(sorted(job.files.items()))


def _uploads(submission: Submission) -> list[tuple[str, Path]]:
    """Return each input file once, with its path in the folder of a job."""
    own = (entry for job in submission.jobs for entry in job.files.items())
    return list(dict.fromkeys([*submission.files.items(), *own]))


def _define(
    api: ProjectApi,
    submission: Submission,
    variants: Sequence[Variant],
    inputs: Mapping[tuple[str, Path], str],
    outputs: Mapping[str, str],
    parameters: Sequence[str],
    start: int,
) -> dict[Variant, str]:
    """Create the task definitions and job definitions of jobs with the input files `variants`; return IDs by variant.

    `start` is the number of job definitions that exist already.
    """
    tasks = []
    for variant in variants:
        files = dict([*submission.files.items(), *variant])
        identities = {EXEC_SCRIPT: inputs[_SCRIPT], **{name: inputs[name, path] for name, path in files.items()}}
        tasks += [task_definition(submission, step, identities, outputs) for step in submission.steps]
    created = [str(task["id"]) for task in api.create_task_definitions(tasks, as_objects=False)]
    size = len(submission.steps)
    fitness = {"fitness_definition": fitness_definition(submission.fitness)} if submission.fitness else {}
    definitions = api.create_job_definitions(
        [
            JobDefinition(
                name=submission.publication + f" {start + number + 1}" * bool(start + number),
                active=True,
                task_definition_ids=created[number * size : (number + 1) * size],
                parameter_definition_ids=list(parameters),
                **fitness,
            )
            for number in range(len(variants))
        ],
        as_objects=False,
    )
    return {variant: str(definition["id"]) for variant, definition in zip(variants, definitions, strict=True)}


def _declare_outputs(api: ProjectApi, submission: Submission) -> dict[str, str]:
    """Declare what steps write; return file IDs by name."""
    monitored = {name for step in submission.steps for name in step.monitor}
    names = list(dict.fromkeys([*(name for step in submission.steps for name in step.products), ERROR_FILE]))
    records = [
        File(name=name, evaluation_path=name, type=_type(name), collect=True, monitor=name in monitored)
        for name in names
    ]
    return {name: str(file.id) for name, file in zip(names, api.create_files(records), strict=True)}


def _upload(
    client: Client, api: ProjectApi, exec_script: bytes, uploads: Sequence[tuple[str, Path]]
) -> dict[tuple[str, Path], str]:
    """Upload the execution script and `uploads`; return file IDs by name and path, that of the script by `_SCRIPT`."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, EXEC_SCRIPT)
        script.write_bytes(exec_script)
        paths = {_SCRIPT: script, **{(name, path): path.absolute() for name, path in uploads}}
        keys, records = list(paths), []
        with explained(client.url):
            for start in range(0, len(keys), BATCH):
                # Without contents, since the client would wait forever for their transfer.
                names = [name for name, _ in keys[start : start + BATCH]]
                records += api.create_files([File(name=name, evaluation_path=name, type=_type(name)) for name in names])
            places = {
                key: f"{api.project_id}/{str(record.storage_id).rpartition('/')[2]}"
                for key, record in zip(keys, records, strict=True)
            }
        received = transfer.upload(client, {places[key]: path for key, path in paths.items()})
        for record, (key, path) in zip(records, paths.items(), strict=True):
            record.hash, record.size = received[places[key]]
            if record.hash.casefold() != transfer.checksum(path):
                raise HpsError(client.url, f"{path.name} was damaged while it was uploaded", "try again")
    with explained(client.url):
        for start in range(0, len(records), BATCH):
            api.update_files(records[start : start + BATCH], as_objects=False)
    return {key: str(record.id) for key, record in zip(keys, records, strict=True)}


def _type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
