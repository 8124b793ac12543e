"""Create task definition templates, which other users choose in the web interface."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

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
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from bundler.node.errors import ERROR_FILE


def create_template(client: Client, submission: Submission, name: str, *, for_anyone: bool) -> str:
    """Create the template `name` for the first step of `submission`, with its execution script; return its ID.

    Raises `HpsError`, also if HPS is too old for templates.
    """
    step = submission.steps[0]
    with explained(client.url):
        jms = JmsApi(client)
        jms.get_task_definition_templates(as_objects=False, fields=["id"], limit=1)  # Raises if HPS is too old.
        bucket = jms.get_api_info()["settings"]["execution_script_bucket"]
    identity = f"{submission.publication}-{hashlib.sha256(submission.exec_script).hexdigest()[:12]}.py"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, EXEC_SCRIPT)
        path.write_bytes(submission.exec_script)
        transfer.upload(client, {f"{bucket}/{identity}": path})
    resources: dict[str, Any] = {
        "num_cores": TemplateProperty(type="float", default=step.cores),
        "disk_space": TemplateProperty(type="int", default=step.disk),
    }
    if submission.platform:
        resources["platform"] = TemplateProperty(type="string", default=submission.platform)
    if step.memory:
        resources["memory"] = TemplateProperty(type="int", default=step.memory)
    template = TaskDefinitionTemplate(
        name=name,
        version="1",
        description=f"Runs {step.script} of the publication {submission.publication} without internet access.",
        use_execution_script=True,
        execution_script_storage_bucket=bucket,
        execution_script_storage_id=identity,
        software_requirements=[_software(item) for item in filter(None, [submission.application, *step.software])],
        resource_requirements=TemplateResourceRequirements(**resources),
        environment={key: TemplateProperty(type="string", default=value) for key, value in step.environment.items()},
        input_files=[
            TemplateInputFile(name=item, evaluation_path=item, description="input of the script", required=True)
            for item in step.inputs
        ],
        output_files=[
            TemplateOutputFile(name=item, evaluation_path=item, description="output", required=need, collect=True)
            for need, names in ((True, step.outputs), (False, (*step.optional_outputs, ERROR_FILE)))
            for item in names
        ],
    )
    with explained(client.url):
        (created,) = jms.create_task_definition_templates([template], as_objects=False)
    try:
        if for_anyone:
            _allow_anyone(client, jms, str(created["id"]))
    except HpsError:
        with explained(client.url):
            jms.delete_task_definition_templates([TaskDefinitionTemplate(id=created["id"])])
        raise
    return str(created["id"])


def _allow_anyone(client: Client, jms: JmsApi, template: str) -> None:
    with explained(client.url):
        permissions = jms.get_task_definition_template_permissions(template)
        anyone = Permission(permission_type="anyone", role="reader", value_id=None)
        jms.update_task_definition_template_permissions(template, [*permissions, anyone])


def _software(text: str) -> Any:
    name, _, version = text.partition("=")
    return TemplateSoftware(name=name, versions=[version] if version else [])
