"""Create HPS projects: inactive first, activated when complete, deleted if anything fails."""

from __future__ import annotations

import mimetypes
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansys.hps.client.jms import (
    BoolParameterDefinition,
    File,
    FloatParameterDefinition,
    HpcResources,
    IntParameterDefinition,
    JmsApi,
    Job,
    JobDefinition,
    Project,
    ProjectApi,
    ResourceRequirements,
    Software,
    StringParameterDefinition,
    SuccessCriteria,
    TaskDefinition,
)

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.layout import EXEC_SCRIPT
from bundler.node.errors import ERROR_FILE
from bundler.progress import Progress
from bundler.units import counted

if TYPE_CHECKING:
    from collections.abc import Generator

    from ansys.hps.client import Client

    from bundler.jobs.submission import Step, Submission
    from bundler.sources.parameters import Parameter

# Jobs per request: a few hundred kB, and about a second for the server.
BATCH = 1000
_TYPES = {
    "float": FloatParameterDefinition,
    "int": IntParameterDefinition,
    "bool": BoolParameterDefinition,
    "string": StringParameterDefinition,
}


def page(client: Client, project: str) -> str:
    """Return the URL of a project in the web interface. This is not documented, so it is a guess."""
    return f"{client.url.rstrip('/')}/#/projects/{project}/jobs"


def submit(
    client: Client, submission: Submission, name: str, *, replace: bool = False
) -> Generator[Progress, None, str]:
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
            project = jms.create_project(Project(name=working, active=False, **_given(priority=submission.priority)))
            identity = str(project.id)
        yield from _fill(client, identity, submission)
        if not existing:
            _activate(client, jms, identity, name)
    except BaseException as error:
        _delete_begun(client, jms, working, error)
        raise
    if existing:
        # The new project is complete, so only those that it replaces are deleted from here on.
        with explained(client.url):
            for old in existing:
                jms.delete_project(Project(id=old))
        _activate(client, jms, identity, name)
    return identity


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


def _fill(client: Client, project: str, submission: Submission) -> Generator[Progress, None, None]:
    api = ProjectApi(client, project)
    yield Progress(text=f"Uploading {counted(1 + len(submission.files), 'file')}")
    files = _create_files(client, api, submission)
    with explained(client.url):
        definitions = [parameter_definition(parameter, "input") for parameter in submission.parameters]
        definitions += [parameter_definition(parameter, "output") for parameter in submission.output_parameters]
        parameters = api.create_parameter_definitions(definitions)
        tasks = [task_definition(submission, step, level, files) for level, step in enumerate(submission.steps)]
        created = api.create_task_definitions(tasks, as_objects=False)
        (definition,) = api.create_job_definitions(
            [
                JobDefinition(
                    name=submission.publication,
                    active=True,
                    task_definition_ids=[task["id"] for task in created],
                    parameter_definition_ids=[parameter.id for parameter in parameters],
                )
            ]
        )
    width = len(str(len(submission.rows)))
    for start in range(0, len(submission.rows), BATCH):
        jobs = [
            Job(name=f"job-{number:0{width}}", values=row, eval_status="pending", job_definition_id=definition.id)
            for number, row in enumerate(submission.rows[start : start + BATCH], start + 1)
        ]
        with explained(client.url):
            api.create_jobs(jobs, as_objects=False)
        yield Progress(text=f"Creating {len(submission.rows)} jobs: {start + len(jobs)}")


def _create_files(client: Client, api: ProjectApi, submission: Submission) -> dict[str, str]:
    """Upload the execution script and input files and declare outputs; return file IDs by name."""
    uploads = {f"in:{name}": path.absolute() for name, path in submission.files.items()}
    names = {EXEC_SCRIPT: EXEC_SCRIPT, **{f"in:{name}": name for name in submission.files}}
    outputs = dict.fromkeys(name for step in submission.steps for name in (*step.outputs, *step.optional_outputs))
    outputs[ERROR_FILE] = None
    monitored = {name for step in submission.steps for name in step.monitor}
    with tempfile.TemporaryDirectory() as folder:
        uploads[EXEC_SCRIPT] = Path(folder, EXEC_SCRIPT)
        uploads[EXEC_SCRIPT].write_bytes(submission.exec_script)
        files = {key: File(name=names[key], evaluation_path=names[key], type=_type(names[key])) for key in uploads}
        for name in outputs:
            files[f"out:{name}"] = File(
                name=name, evaluation_path=name, type=_type(name), collect=True, monitor=name in monitored
            )
        with explained(client.url):
            # Without contents, since the client would wait forever for their transfer.
            created = api.create_files(list(files.values()))
            records = dict(zip(files, created, strict=True))
        places = {key: f"{api.project_id}/{str(records[key].storage_id).rpartition('/')[2]}" for key in uploads}
        received = transfer.upload(client, {places[key]: path for key, path in uploads.items()})
        for key, path in uploads.items():
            records[key].hash, records[key].size = received[places[key]]
            if records[key].hash.casefold() != transfer.checksum(path):
                raise HpsError(client.url, f"{path.name} was damaged while it was uploaded", "try again")
    with explained(client.url):
        api.update_files([records[key] for key in uploads], as_objects=False)
    return {key: str(file.id) for key, file in records.items()}


def _type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def parameter_definition(parameter: Parameter, mode: str) -> Any:
    """Return the definition of `parameter` for the client; `mode` is input or output."""
    options = _given(
        lower_limit=parameter.lower,
        upper_limit=parameter.upper,
        step=parameter.step,
        default=parameter.default,
        value_list=list(parameter.values) or None,
        units=parameter.units,
        display_text=parameter.display_text,
    )
    return _TYPES[parameter.type](name=parameter.name, mode=mode, **options)


def task_definition(submission: Submission, step: Step, level: int, files: dict[str, str]) -> TaskDefinition:
    """Return the task definition of the step `level` of `submission`; `files` are IDs by `in:NAME` and `out:NAME`."""
    produced = {name for earlier in submission.steps[:level] for name in (*earlier.outputs, *earlier.optional_outputs)}
    inputs = [files[f"out:{name}"] if name in produced else files[f"in:{name}"] for name in step.inputs]
    required = [files[f"out:{name}"] for name in step.outputs]
    last = level == len(submission.steps) - 1
    applications = [*([submission.application] if submission.application else []), *step.software]
    options = _given(
        max_execution_time=step.timeout or None,
        execution_context=dict(step.execution_context) or None,
        debug=step.debug,
        working_directory=step.working_directory,
    )
    return TaskDefinition(
        name=step.script,
        execution_level=level,
        execution_script_id=files[EXEC_SCRIPT],
        use_execution_script=True,
        # The client requires a command, although it is not run.
        execution_command="uv run",
        environment=dict(step.environment),
        num_trials=step.trials,
        store_output=True,
        input_file_ids=inputs,
        output_file_ids=[*required, *(files[f"out:{name}"] for name in (*step.optional_outputs, ERROR_FILE))],
        software_requirements=[_software(application) for application in applications],
        resource_requirements=_resources(submission.platform, step),
        success_criteria=SuccessCriteria(
            return_code=0,
            required_output_file_ids=required,
            require_all_output_files=False,
            require_all_output_parameters=bool(last and submission.output_parameters),
        ),
        **options,
    )


def _software(text: str) -> Software:
    name, _, version = text.partition("=")
    return Software(name=name, version=version) if version else Software(name=name)


def _resources(platform: str | None, step: Step) -> ResourceRequirements:
    scheduling = step.scheduling
    hpc = _given(
        queue=scheduling.queue,
        exclusive=scheduling.exclusive,
        num_cores_per_node=scheduling.cores_per_node,
        num_gpus_per_node=scheduling.gpus_per_node,
        use_local_scratch=scheduling.use_local_scratch,
        native_submit_options=scheduling.native_submit_options,
    )
    options = _given(
        platform=platform,
        memory=step.memory,
        distributed=scheduling.distributed,
        compute_resource_set_id=scheduling.compute_resource_set,
        hpc_resources=HpcResources(**hpc) if hpc else None,
    )
    return ResourceRequirements(num_cores=step.cores, disk_space=step.disk, **options)


def _given(**values: Any) -> dict[str, Any]:
    """Return those of `values` that are not None; the client would send None as null."""
    return {name: value for name, value in values.items() if value is not None}
