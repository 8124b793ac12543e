from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from ansys.hps.client import jms
from ansys.hps.client.jms.resource.task_definition import HpcResources

from bundler.cli.guide import read_guide

SECTIONS: dict[str, list[Any]] = {
    "Project": [jms.Project],
    "JobDefinition": [jms.JobDefinition],
    "TaskDefinition": [jms.TaskDefinition],
    "ResourceRequirements": [jms.ResourceRequirements],
    "HpcResources": [HpcResources],
    "SuccessCriteria": [jms.SuccessCriteria],
    "File": [jms.File],
    "Job": [jms.Job],
    "Parameter definitions": [
        jms.FloatParameterDefinition,
        jms.IntParameterDefinition,
        jms.BoolParameterDefinition,
        jms.StringParameterDefinition,
    ],
}
EVERYWHERE = {"id", "creation_time", "modification_time", "created_by", "modified_by"}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_guide_has_every_field_of_the_installed_client(section: str) -> None:
    text = read_guide("hps-fields").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    documented = {
        name
        for row in text.splitlines()
        for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])
    }
    parameters = [inspect.signature(model.__init__).parameters for model in SECTIONS[section]]
    fields = {name for names in parameters for name in names} - {"self", "kwargs"} - EVERYWHERE
    assert documented == fields
