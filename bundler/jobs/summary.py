"""What a submission would send to HPS: as a document for programs, and as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bundler.jobs.job import Job
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.units import counted, size_text

# Jobs whose parameters are listed as text.
_SHOWN = 3
# The entries of a step, and of its "scheduling". Programs read them.
_STEP = (
    "script",
    "environment",
    "software",
    "inputs",
    "outputs",
    "optional_outputs",
    "cores",
    "memory",
    "disk",
    "timeout",
    "trials",
    "level",
    "monitor",
    "success_expressions",
    "execution_context",
    "debug",
    "working_directory",
)
_SCHEDULING = (
    "compute_resource_set",
    "distributed",
    "queue",
    "exclusive",
    "cores_per_node",
    "gpus_per_node",
    "use_local_scratch",
    "native_submit_options",
)


def summary(submission: Submission) -> dict[str, Any]:
    """Return `submission` as a document for JSON; sizes are in bytes, times in seconds."""
    signatures = []
    for approval in submission.approved:
        signer = {"name": approval.signer.name, **asdict(approval.signer)}
        signatures.append({**signer, "signed": approval.signed})
    fitness = None
    if submission.fitness:
        fitness = asdict(submission.fitness)
    return {
        "publication": submission.publication,
        "platform": submission.platform,
        "application": submission.application,
        "signatures": signatures,
        "steps": list(map(_step, submission.steps)),
        "files": _as_texts(submission.files),
        "parameters": list(map(asdict, submission.parameters)),
        "output_parameters": list(map(asdict, submission.output_parameters)),
        "fitness": fitness,
        "jobs": list(map(_job, submission.jobs)),
    }


def _step(step: Step) -> dict[str, Any]:
    """Return `step` with what concerns a job scheduler in an entry of its own."""
    document = {"name": step.title, **{name: getattr(step, name) for name in _STEP}}
    document["scheduling"] = {name: getattr(step, name) for name in _SCHEDULING}
    return document


def _job(job: Job) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key in ("name", "note", "priority"):
        value = getattr(job, key)
        if value is not None:
            document[key] = value
    document["values"] = job.values
    if job.files:
        document["files"] = _as_texts(job.files)
    return document


def _as_texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def table(document: Mapping[str, Any]) -> str:
    """Return the document of `summary` as text."""
    jobs = document["jobs"]
    platform = document["platform"] or "any platform"
    lines = [f"{counted(len(jobs), 'job')} of {document['publication']} on {platform}"]
    for signature in document["signatures"]:
        day = signature["signed"][:10]
        lines.append(f"  signed by {signature['name']} on {day}")
    for step in document["steps"]:
        needs = ", ".join(_needs_of(step, document["application"]))
        lines.append(f"  {step['name']}: {needs}")
        for key in ("inputs", "outputs"):
            names = ", ".join(step[key])
            if names:
                lines.append(f"    {key}: {names}")
    lines += map(_line_of, jobs[:_SHOWN])
    if len(jobs) > _SHOWN:
        lines.append(f"  and {len(jobs) - _SHOWN} more")
    return "\n".join(lines)


def _needs_of(step: Mapping[str, Any], application: str | None) -> list[str]:
    """Return what `step` needs from a node, with the `application` of all steps."""
    needs = [
        counted(step["cores"], "core"),
        f"{size_text(step['disk'])} disk",
    ]
    if step["memory"]:
        needs.append(f"{size_text(step['memory'])} memory")
    if step["timeout"]:
        needs.append(f"at most {step['timeout']:g} s")
    if application:
        needs.append(application)
    return [*needs, *step["software"]]


def _line_of(job: Mapping[str, Any]) -> str:
    values = [*job["values"].items(), *job.get("files", {}).items()]
    cells = [f"{name}={value}" for name, value in values]
    description = ", ".join(cells) or "no parameters"
    if "name" in job:
        description = f"{job['name']}: {description}"
    return f"  {description}"
