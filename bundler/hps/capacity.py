"""Whether an evaluator or a compute resource set can run the jobs, and what each lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansys.hps.client import Client
from ansys.hps.client.exceptions import APIError, ClientError
from ansys.hps.client.rms import RmsApi
from ansys.hps.client.rms.models import (
    AnalyzeHpcResources,
    AnalyzeRequiredSoftware,
    AnalyzeRequirements,
    AnalyzeResourceRequirements,
)

from bundler.hps.connection import explained
from bundler.hps.definitions import without_none
from bundler.hps.errors import nowhere_to_run
from bundler.hps.redaction import plain
from bundler.hps.resources import NOT_FOR_US, Resource, status_of
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.jobs.table import Record
from bundler.units import size_text

# A server without the request.
_ABSENT = (404, 405, 500, 501)
# The fields of `AnalyzeResponseRequirements`, and what a resource lacks that does not meet them.
_UNMET = {
    "has_platform": "another platform",
    "has_hardware": "not enough cores, memory or disk",
    "has_applications": "not all applications in these versions",
    "has_custom": "not the custom properties",
    "accessible": "not accessible for you",
    "assignable": "not assigned to your projects",
}


def require_somewhere(
    client: Client,
    submission: Submission,
    resources: Sequence[Resource],
) -> None:
    """Raise `BundlerError` unless every step of `submission` can run on one of `resources`.

    The server decides if it can be asked, since only it knows how it compares names and versions. It does not say how
    it counts resource sets that start evaluators on demand, so those it does not mention are compared here.
    """
    for step in submission.steps:
        with explained(client.url):
            lacks = _lacks_by_resource(client, submission, step, resources)
        if lacks is None or any(not each for each in lacks.values()):
            continue
        described = {}
        for resource in resources:
            about = [*lacks[resource.identity], _applications_text(resource)]
            described[_title(resource)] = "; ".join(about)
        names = [name for name, _ in submission.software_of(step)]
        advice = _advice(submission.application, names, resources)
        raise nowhere_to_run(_needs_text(submission, step), described, advice)


def _lacks_by_resource(
    client: Client,
    submission: Submission,
    step: Step,
    resources: Sequence[Resource],
) -> dict[str, list[str]] | None:
    """Return what each of `resources` lacks for `step` by ID; None if the server counts one that lacks nothing."""
    lacks = {each.identity: lacks_of(each, submission, step) for each in resources}
    answers = _answers(client, submission, step, resources)
    if answers is None:
        return lacks
    if _counts_evaluators(answers):
        return None
    for identity, unmet in _unmet_on_server(answers, resources).items():
        # Our words are more exact, if both agree.
        if not unmet or not lacks.get(identity):
            lacks[identity] = unmet
    return lacks


def lacks_of(resource: Resource, submission: Submission, step: Step) -> list[str]:
    """Return what `resource` lacks for `step`, as far as it tells; what is unknown counts as there."""
    lacks = []
    if resource.platform not in (None, *submission.platforms):
        lacks.append(_UNMET["has_platform"])
    wanted_set = step.compute_resource_set
    if wanted_set and resource.compute_resource_set != wanted_set:
        lacks.append("not in the compute resource set")
    if resource.applications is not None:
        for name, version in submission.software_of(step):
            lacks += _lacks_of_software(resource.applications, name, version)
    for wanted, there, unit in (
        (step.cores, resource.cores, _cores_text),
        (step.memory, resource.memory, _memory_text),
        (step.disk, resource.disk, _disk_text),
    ):
        if wanted and there and wanted > there:
            lacks.append(f"only {unit(there)}")
    return lacks


def _lacks_of_software(
    applications: Sequence[tuple[str, str]], name: str, version: str
) -> Iterator[str]:
    """Yield the missing software if `applications` have no `name`, or not in `version` ("" for any)."""
    versions = [other for known, other in applications if known == name]
    if not versions:
        yield f"no {name}"
    elif version and version not in versions:
        yield f"{name} {' and '.join(versions)} instead of {version}"


def _cores_text(cores: float) -> str:
    return f"{cores:g} cores"


def _memory_text(size: float) -> str:
    return f"{size_text(int(size))} of memory"


def _disk_text(size: float) -> str:
    return f"{size_text(int(size))} of disk space"


def _answers(
    client: Client,
    submission: Submission,
    step: Step,
    resources: Sequence[Resource],
) -> list[Record] | None:
    """Return what the server says about `step` on each platform; None if it cannot be asked.

    The IDs of running evaluators are sent along, since evaluators that have ended would count otherwise.
    """
    evaluators = [resource.identity for resource in resources if resource.kind == "evaluator"]
    if not evaluators:
        return None
    software = []
    for name, version in submission.software_of(step):
        software.append(AnalyzeRequiredSoftware(name=name, version=version or None))
    limits = _limits(step)
    answers = []
    for platform in submission.platforms:
        requirements = AnalyzeRequirements(
            software_requirements=software,
            resource_requirements=AnalyzeResourceRequirements(platform=platform, **limits),
            evaluator_ids=evaluators,
        )
        answer = _analyze(client, requirements)
        if answer is None:
            return None
        answers.append(answer)
    return answers


def _limits(step: Step) -> dict[str, Any]:
    limits = without_none(
        num_cores=step.cores,
        memory=step.memory,
        disk_space=step.disk,
        compute_resource_set_id=step.compute_resource_set,
    )
    hpc = without_none(
        queue=step.queue,
        exclusive=step.exclusive,
        num_cores_per_node=step.cores_per_node,
        num_gpus_per_node=step.gpus_per_node,
    )
    if hpc:
        limits["hpc_resources"] = AnalyzeHpcResources(**hpc)
    return limits


def _analyze(client: Client, requirements: AnalyzeRequirements) -> Record | None:
    """Return the answer of the server about `requirements`, or None if this one has no such request for this user."""
    try:
        answer: Record = RmsApi(client).analyze(
            requirements,
            analytics=True,
            as_object=False,
        )
    except (ClientError, APIError) as error:
        if status_of(error) in (*_ABSENT, *NOT_FOR_US):
            return None
        raise
    return answer


def _counts_evaluators(answers: Sequence[Record]) -> bool:
    """Return whether the server counts one that can run the step on one of the platforms."""
    for answer in answers:
        counts = answer.get("analytics") or {}
        matching = counts.get("number_matching", 0)
        if counts.get("number_accessible_assignable_and_matching", matching):
            return True
    return False


def _unmet_on_server(
    answers: Sequence[Record],
    resources: Sequence[Resource],
) -> dict[str, list[str]]:
    """Return what resources lack by ID, as the server says, on the platform for which that is the least.

    An evaluator that the server does not mention does not match; a resource set that it does not mention is left out.
    """
    unmet: dict[str, list[str]] = {}
    for answer in answers:
        for entry in answer.get("evaluators") or ():
            _keep_the_least(unmet, str(entry.get("evaluator_id")), entry)
        for entry in answer.get("scalers") or ():
            _keep_the_least(unmet, str(entry.get("compute_resource_set_id")), entry)
    for resource in resources:
        if resource.kind == "evaluator":
            unmet.setdefault(resource.identity, ["no match, says the server"])
    return unmet


def _keep_the_least(unmet: dict[str, list[str]], identity: str, entry: Record) -> None:
    met = entry.get("requirements") or {}
    texts = [text for name, text in _UNMET.items() if met.get(name) is False]
    if identity not in unmet or len(texts) < len(unmet[identity]):
        unmet[identity] = texts


def _needs_text(submission: Submission, step: Step) -> str:
    """Return what `step` needs, for people."""
    software = [repr(" ".join(filter(None, each))) for each in submission.software_of(step)]
    needs = [" and ".join(software) or "anything"]
    needs.append(f"on {' or '.join(submission.platforms)}")
    hardware = []
    if step.cores and step.cores > 1:
        hardware.append(_cores_text(step.cores))
    if step.memory:
        hardware.append(_memory_text(step.memory))
    if step.disk:
        hardware.append(_disk_text(step.disk))
    if hardware:
        needs.append(f"with {', '.join(hardware)}")
    if step.compute_resource_set:
        needs.append(f"in the compute resource set {step.compute_resource_set}")
    return " ".join(needs)


def _title(resource: Resource) -> str:
    return f"{resource.kind} {resource.name} ({resource.platform or 'any platform'})"


def _applications_text(resource: Resource) -> str:
    if resource.applications is None:
        return "applications unknown"
    names = [" ".join(filter(None, application)) for application in resource.applications]
    if not names:
        return "no applications"
    return f"applications: {', '.join(names)}"


def _advice(
    application: str | None,
    required: Sequence[str],
    resources: Sequence[Resource],
) -> str:
    if not resources:
        return "start an evaluator; none is running"
    registered: set[str] = set()
    for resource in resources:
        registered.update(dict(resource.applications or ()))
    missing = {name.casefold(): name for name in required if name not in registered}
    for name in sorted(registered):
        wanted = missing.get(name.casefold())
        if wanted is not None:
            option = "--application" if wanted == application else "--software"
            return f"use {option} {plain(name)}, since names must match exactly"
    if missing:
        return "register the application (see `bundler hps register`)"
    return "request what one of these has, or bundle for the platforms of the evaluators"
