"""What HPS is sent of jobs, in the models of its own client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from marshmallow import missing

from bundler.hps.definitions import fitness_definition, parameter_definition, task_definition
from bundler.jobs.job import Job
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from bundler.node.errors import ERROR_FILE
from bundler.sources.fitness import Fitness, Term
from bundler.sources.parameters import Parameter

FIRST = Step(
    script="mesh.py",
    environment={"THREADS": "4"},
    software=("Ansys Mechanical=2025 R1",),
    inputs=("model.dat",),
    outputs=("mesh.dat",),
    optional_outputs=("log.txt",),
    cores=2,
    memory=1 << 30,
    disk=1 << 20,
    timeout=90.0,
    trials=3,
)
SECOND = replace(
    FIRST,
    script="solve.py",
    inputs=("mesh.dat",),
    outputs=("plot.png",),
    timeout=None,
    memory=None,
    level=1,
)
SUBMISSION = Submission(
    publication="solve-0123456789ab",
    exec_script=b"",
    platforms=("linux",),
    application="uv",
    steps=(FIRST, SECOND),
    files={},
    parameters=(),
    output_parameters=(Parameter(name="maximum", type="float"),),
    jobs=[Job(values={})],
)
INPUTS = {EXEC_SCRIPT: "script", "model.dat": "1"}
OUTPUTS = {"mesh.dat": "2", "log.txt": "3", "plot.png": "4", ERROR_FILE: "5"}


def test_a_task_runs_the_execution_script_with_the_resources_of_its_step() -> None:
    made = task_definition(SUBMISSION, FIRST, INPUTS, OUTPUTS)
    assert (made.name, made.execution_level, made.num_trials) == ("mesh.py", 0, 3)
    assert (made.use_execution_script, made.execution_script_id) == (True, "script")
    assert made.max_execution_time == 90.0
    assert made.environment == {"THREADS": "4"}
    resources = made.resource_requirements
    assert (resources.platform, resources.num_cores) == ("linux", 2)
    assert (resources.memory, resources.disk_space) == (1 << 30, 1 << 20)
    assert [(each.name, each.version) for each in made.software_requirements][1] == (
        "Ansys Mechanical",
        "2025 R1",
    )
    assert made.software_requirements[0].name == "uv"


def test_a_file_of_an_earlier_step_is_the_input_of_a_later_one() -> None:
    assert task_definition(SUBMISSION, FIRST, INPUTS, OUTPUTS).input_file_ids == ["1"]
    assert task_definition(SUBMISSION, SECOND, INPUTS, OUTPUTS).input_file_ids == ["2"]


def test_only_declared_outputs_must_be_there_and_only_the_last_step_owes_the_output_parameters() -> (
    None
):
    first, last = (
        task_definition(SUBMISSION, FIRST, INPUTS, OUTPUTS),
        task_definition(SUBMISSION, SECOND, INPUTS, OUTPUTS),
    )
    assert first.output_file_ids == ["2", "3", "5"]
    assert first.success_criteria.required_output_file_ids == ["2"]
    assert first.success_criteria.require_all_output_files is False
    assert first.success_criteria.require_all_output_parameters is False
    assert last.success_criteria.require_all_output_parameters is True


def test_jobs_for_several_platforms_ask_for_none_and_jobs_without_an_application_for_no_software() -> (
    None
):
    bare = replace(SUBMISSION, platforms=("linux", "windows"), application=None)
    made = task_definition(bare, replace(FIRST, software=()), INPUTS, OUTPUTS)
    assert not made.software_requirements
    assert made.resource_requirements.platform is missing


def test_a_task_has_the_settings_for_job_schedulers_that_are_set_and_no_others() -> None:
    scheduling: dict[str, Any] = {
        "queue": "short",
        "gpus_per_node": 2,
        "compute_resource_set": "set-1",
    }
    step = replace(FIRST, **scheduling, execution_context={"solver": "cfx"}, debug=True)
    made = task_definition(SUBMISSION, step, INPUTS, OUTPUTS)
    resources = made.resource_requirements
    assert (resources.compute_resource_set_id, resources.distributed) == ("set-1", missing)
    hpc = resources.hpc_resources
    assert (hpc.queue, hpc.num_gpus_per_node, hpc.exclusive) == ("short", 2, missing)
    assert (made.execution_context, made.debug, made.working_directory) == (
        {"solver": "cfx"},
        True,
        missing,
    )
    bare = task_definition(SUBMISSION, FIRST, INPUTS, OUTPUTS)
    assert (bare.resource_requirements.hpc_resources, bare.execution_context, bare.debug) == (
        missing,
    ) * 3


def test_a_parameter_has_values_units_and_a_text_for_the_web_interface() -> None:
    made = parameter_definition(
        Parameter(name="x", type="float", values=(1.0, 2.0), units="m", display_text="Size"),
        "input",
    )
    assert (made.units, made.display_text, made.value_list) == ("m", "Size", [1.0, 2.0])


@pytest.mark.parametrize(
    ("parameter", "limits"),
    [
        (Parameter(name="x", type="float", default=1.0, lower=0.0, upper=2.0), (0.0, 2.0)),
        (Parameter(name="x", type="int", default=1, lower=0), (0, missing)),
    ],
)
def test_a_parameter_has_the_bounds_that_the_script_states(
    parameter: Parameter, limits: tuple[object, object]
) -> None:
    made = parameter_definition(parameter, "input")
    assert (made.lower_limit, made.upper_limit) == limits
    assert (made.name, made.mode, made.default) == ("x", "input", 1)


def test_steps_of_one_level_do_not_wait_for_the_files_of_each_other() -> None:
    with pytest.raises(KeyError, match="mesh"):
        task_definition(SUBMISSION, replace(SECOND, level=0), INPUTS, OUTPUTS)
    assert (
        task_definition(SUBMISSION, replace(SECOND, level=5), INPUTS, OUTPUTS).execution_level == 5
    )


def test_a_step_has_the_expressions_that_decide_about_its_success() -> None:
    assert (
        task_definition(SUBMISSION, FIRST, INPUTS, OUTPUTS).success_criteria.expressions is missing
    )
    step = replace(FIRST, success_expressions=("values['x'] < 2",))
    made = task_definition(SUBMISSION, step, INPUTS, OUTPUTS)
    assert made.success_criteria.expressions == ["values['x'] < 2"]


def test_a_fitness_has_its_terms() -> None:
    terms = {
        "weight": Term(
            type="design_objective", expression="map_design_objective(values['w'], 7.5, 5.5)"
        )
    }
    made = fitness_definition(Fitness(error=10.0, terms=terms))
    (term,) = made.fitness_term_definitions
    assert (made.error_fitness, term.name, term.type, term.weighting_factor) == (
        10.0,
        "weight",
        "design_objective",
        1.0,
    )
