"""Definitions of parameters, tasks and fitness for the HPS client."""

from __future__ import annotations

from collections import abc
from dataclasses import fields
from itertools import starmap
from typing import Any

from ansys.hps.client.jms import (
    BoolParameterDefinition,
    FitnessDefinition,
    FloatParameterDefinition,
    HpcResources,
    IntParameterDefinition,
    ParameterMapping,
    ResourceRequirements,
    Software,
    StringParameterDefinition,
    SuccessCriteria,
    TaskDefinition,
)

from bundler.jobs.step import Step, writers_before
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from bundler.node.errors import ERROR_FILE
from bundler.sources.fitness import Fitness
from bundler.sources.mappings import Mapping
from bundler.sources.parameters import Parameter

_TYPES = {
    "float": FloatParameterDefinition,
    "int": IntParameterDefinition,
    "bool": BoolParameterDefinition,
    "string": StringParameterDefinition,
}


def parameter_definition(parameter: Parameter, mode: str) -> Any:
    """Return the definition of `parameter` for the client; `mode` is input or output."""
    options = without_none(
        lower_limit=parameter.lower,
        upper_limit=parameter.upper,
        step=parameter.step,
        default=parameter.default,
        value_list=list(parameter.values) or None,
        units=parameter.units,
        display_text=parameter.display_text,
    )
    return _TYPES[parameter.type](
        name=parameter.name,
        mode=mode,
        **options,
    )


def task_definition(
    submission: Submission,
    step: Step,
    inputs: abc.Mapping[str, str],
    outputs: abc.Mapping[str, str],
) -> TaskDefinition:
    """Return the task definition of `step`; `inputs` and `outputs` are the IDs of files by name."""
    available = dict(inputs)
    for name in writers_before(step, submission.steps):
        available[name] = outputs[name]
    required = [outputs[name] for name in step.outputs]
    optional = [outputs[name] for name in (*step.optional_outputs, ERROR_FILE)]
    is_last = step is submission.steps[-1]
    options = without_none(
        max_execution_time=step.timeout or None,
        execution_context=dict(step.execution_context) or None,
        debug=step.debug,
        working_directory=step.working_directory,
    )
    return TaskDefinition(
        name=step.title,
        execution_level=step.level,
        execution_script_id=inputs[EXEC_SCRIPT],
        use_execution_script=True,
        # The client requires a command, although it is not run.
        execution_command="uv run",
        environment=dict(step.environment),
        num_trials=step.trials,
        store_output=True,
        input_file_ids=[available[name] for name in step.inputs],
        output_file_ids=required + optional,
        software_requirements=list(starmap(_software, submission.software_of(step))),
        resource_requirements=_resources(submission.platform, step),
        success_criteria=SuccessCriteria(
            return_code=0,
            required_output_file_ids=required,
            require_all_output_files=False,
            require_all_output_parameters=is_last and bool(submission.output_parameters),
            **without_none(expressions=list(step.success_expressions) or None),
        ),
        **options,
    )


def mapping_definition(mapping: Mapping, file: str, parameter: str) -> ParameterMapping:
    """Return the definition of `mapping` for the client, with the IDs of its file and parameter."""
    values = {entry.name: getattr(mapping, entry.name) for entry in fields(mapping)}
    del values["parameter"], values["file"]
    return ParameterMapping(
        file_id=file,
        parameter_definition_id=parameter,
        **without_none(**values),
    )


def fitness_definition(fitness: Fitness) -> FitnessDefinition:
    """Return the definition of `fitness` for the client."""
    definition = FitnessDefinition(error_fitness=fitness.error)
    for name, term in fitness.terms.items():
        definition.add_fitness_term(
            name=name,
            type=term.type,
            expression=term.expression,
            weighting_factor=term.weight,
        )
    return definition


def _software(name: str, version: str) -> Software:
    return Software(
        **without_none(
            name=name,
            version=version or None,
        )
    )


def _resources(platform: str | None, step: Step) -> ResourceRequirements:
    hpc = without_none(
        queue=step.queue,
        exclusive=step.exclusive,
        num_cores_per_node=step.cores_per_node,
        num_gpus_per_node=step.gpus_per_node,
        use_local_scratch=step.use_local_scratch,
        native_submit_options=step.native_submit_options,
    )
    options = without_none(
        platform=platform,
        memory=step.memory,
        distributed=step.distributed,
        compute_resource_set_id=step.compute_resource_set,
    )
    if hpc:
        options["hpc_resources"] = HpcResources(**hpc)
    return ResourceRequirements(num_cores=step.cores, disk_space=step.disk, **options)


def without_none(**values: Any) -> dict[str, Any]:
    """Return those of `values` that are not None; the client would send None as null."""
    return {name: value for name, value in values.items() if value is not None}
