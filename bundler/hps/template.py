"""Create task definition templates, which other users choose in the web interface."""

from __future__ import annotations

import hashlib
import tempfile
from itertools import starmap
from pathlib import Path

from ansys.hps.client import Client
from ansys.hps.client.jms import (
    JmsApi,
    Permission,
    TaskDefinitionTemplate,
    TemplateInputFile,
    TemplateOutputFile,
    TemplateProperty,
    TemplateResourceRequirements,
)
from ansys.hps.client.jms.resource.task_definition_template import TemplateSoftware

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from bundler.node.errors import ERROR_FILE


def create_template(
    client: Client,
    submission: Submission,
    name: str,
    *,
    for_anyone: bool,
) -> str:
    """Create the template `name` for the first step of `submission`, with its execution script; return its ID.

    Raises `HpsError`, also if HPS is too old for templates.
    """
    with explained(client.url):
        jms = JmsApi(client)
        jms.get_task_definition_templates(
            as_objects=False, fields=["id"], limit=1
        )  # Raises if HPS is too old.
        bucket = jms.get_api_info()["settings"]["execution_script_bucket"]
    digest = hashlib.sha256(submission.exec_script).hexdigest()
    script = f"{submission.publication}-{digest[:12]}.py"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, EXEC_SCRIPT)
        path.write_bytes(submission.exec_script)
        transfer.upload(client, {f"{bucket}/{script}": path})
    template = _template(submission, name, bucket, script)
    with explained(client.url):
        (created,) = jms.create_task_definition_templates([template], as_objects=False)
    identity = created["id"]
    try:
        if for_anyone:
            _allow_anyone(client, jms, str(identity))
    except HpsError:
        with explained(client.url):
            jms.delete_task_definition_templates([TaskDefinitionTemplate(id=identity)])
        raise
    return str(identity)


def _template(
    submission: Submission,
    name: str,
    bucket: str,
    script: str,
) -> TaskDefinitionTemplate:
    """Return the template `name` for the first step, whose execution script is `script` in `bucket`."""
    step = submission.steps[0]
    outputs = [_output(path, required=True) for path in step.outputs]
    outputs += [_output(path, required=False) for path in (*step.optional_outputs, ERROR_FILE)]
    return TaskDefinitionTemplate(
        name=name,
        version="1",
        description=f"Runs {step.script} of the publication {submission.publication} without internet access.",
        use_execution_script=True,
        execution_script_storage_bucket=bucket,
        execution_script_storage_id=script,
        software_requirements=list(starmap(_software, submission.software_of(step))),
        resource_requirements=_resources(submission.platform, step),
        environment={
            key: TemplateProperty(type="string", default=value)
            for key, value in step.environment.items()
        },
        input_files=list(map(_input, step.inputs)),
        output_files=outputs,
    )


def _software(name: str, version: str) -> TemplateSoftware:
    versions = []
    if version:
        versions.append(version)
    return TemplateSoftware(name=name, versions=versions)


def _resources(platform: str | None, step: Step) -> TemplateResourceRequirements:
    resources = {
        "num_cores": TemplateProperty(type="float", default=step.cores),
        "disk_space": TemplateProperty(type="int", default=step.disk),
    }
    if platform:
        resources["platform"] = TemplateProperty(type="string", default=platform)
    if step.memory:
        resources["memory"] = TemplateProperty(type="int", default=step.memory)
    return TemplateResourceRequirements(**resources)


def _input(path: str) -> TemplateInputFile:
    return TemplateInputFile(
        name=path,
        evaluation_path=path,
        description="input of the script",
        required=True,
    )


def _output(path: str, *, required: bool) -> TemplateOutputFile:
    return TemplateOutputFile(
        name=path,
        evaluation_path=path,
        description="output",
        required=required,
        collect=True,
    )


def _allow_anyone(
    client: Client,
    jms: JmsApi,
    template: str,
) -> None:
    with explained(client.url):
        permissions = jms.get_task_definition_template_permissions(template)
        anyone = Permission(permission_type="anyone", role="reader", value_id=None)
        jms.update_task_definition_template_permissions(template, [*permissions, anyone])
