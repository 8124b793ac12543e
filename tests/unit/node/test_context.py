from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bundler.node.context import context_document, input_parameters, software_of, write_context

UV = {
    "name": "uv",
    "version": "0.13.9",
    "executable": "/x/uv",
    "install_path": "/x",
    "environment": {"KEY": "secret"},
}


def context(**fields: Any) -> Any:
    return SimpleNamespace(**{"parameter_values": {"x": 1.0}, **fields})


def test_a_script_that_asks_for_the_cores_and_memory_of_its_job_sees_them() -> None:
    resources = {"num_cores": 4, "memory": 1 << 30, "disk_space": 5}
    wanted = context(resource_requirements=resources)
    assert input_parameters(wanted) == {"x": 1.0}
    assert input_parameters(wanted, resources=True) == {
        "x": 1.0,
        "num_cores": 4,
        "memory": 1 << 30,
        "memory_b": 1 << 30,
    }
    given = context(
        parameter_values={"num_cores": 2}, resource_requirements={"num_cores": 4, "memory": None}
    )
    assert input_parameters(given, resources=True) == {"num_cores": 2}


def test_an_output_parameter_among_the_values_of_a_job_is_not_passed_to_its_script() -> None:
    assert input_parameters(context(parameter_values={"x": 0, "maximum": None})) == {"x": 0}


@pytest.mark.parametrize(
    "fields",
    [
        {"software": [UV]},
        {"applications": [UV]},
        {"software": {"uv": {field: value for field, value in UV.items() if field != "name"}}},
        {"software": [UV, "not a table"]},
    ],
)
def test_applications_are_found_in_each_form_that_hps_uses(fields: dict[str, Any]) -> None:
    (found,) = software_of(context(**fields))
    assert (found["name"], found["executable"]) == ("uv", "/x/uv")


@pytest.mark.parametrize(
    "fields", [{}, {"software": None}, {"software": "uv"}, {"resource_requirements": [1]}]
)
def test_a_context_with_absent_or_odd_fields_is_an_empty_one(fields: dict[str, Any]) -> None:
    document = context_document(context(**fields))
    assert document == {
        "software": [],
        "resource_requirements": {},
        "execution_context": {},
        "input_files": [],
        "output_files": [],
    }


def test_the_context_file_has_no_environment_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fields = {
        "software": [UV],
        "environment": {"TOKEN": "secret"},
        "input_files": [{"name": "mesh", "path": "mesh.dat", "storage_id": "secret"}],
        "execution_context": {"solver": "cfx"},
    }
    write_context(context(**fields))
    text = (tmp_path / "context.json").read_text()
    assert "secret" not in text
    document = json.loads(text)
    assert document["software"] == [
        {"name": "uv", "version": "0.13.9", "executable": "/x/uv", "install_path": "/x"}
    ]
    assert document["input_files"] == [{"name": "mesh", "path": "mesh.dat"}]
    assert document["execution_context"] == {"solver": "cfx"}
    assert json.loads((tmp_path / "input_parameters.json").read_text()) == {"x": 1.0}
