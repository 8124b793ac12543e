"""What a submission would send to HPS: as a document for programs, and as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bundler.jobs.job import Job
from bundler.jobs.submission import Submission
from bundler.units import counted, size_text

# Jobs whose parameters are listed as text.
_SHOWN = 3


def summary(submission: Submission) -> dict[str, Any]:
    """Return `submission` as a document for JSON; sizes are in bytes, times in seconds."""
    return {
        "publication": submission.publication,
        "platform": submission.platform,
        "application": submission.application,
        "signatures": [
            {"name": entry.signer.name, **asdict(entry.signer), "signed": entry.signed} for entry in submission.approved
        ],
        "steps": [asdict(step) for step in submission.steps],
        "files": {name: str(path) for name, path in submission.files.items()},
        "parameters": [asdict(parameter) for parameter in submission.parameters],
        "output_parameters": [asdict(parameter) for parameter in submission.output_parameters],
        "fitness": asdict(submission.fitness) if submission.fitness else None,
        "jobs": [_job(job) for job in submission.jobs],
    }


def _job(job: Job) -> dict[str, Any]:
    about = {"name": job.name, "note": job.note, "priority": job.priority}
    own = {"files": {name: str(path) for name, path in job.files.items()}} if job.files else {}
    return {**{key: value for key, value in about.items() if value is not None}, "values": job.values, **own}


def table(document: Mapping[str, Any]) -> str:
    """Return the document of `summary` as text."""
    jobs = document["jobs"]
    lines = [f"{counted(len(jobs), 'job')} of {document['publication']} on {document['platform'] or 'any platform'}"]
    lines += [f"  signed by {entry['name']} on {entry['signed'][:10]}" for entry in document["signatures"]]
    for step in document["steps"]:
        software = [*([document["application"]] if document["application"] else []), *step["software"]]
        needs = [counted(step["cores"], "core"), f"{size_text(step['disk'])} disk"]
        needs += [f"{size_text(step['memory'])} memory"] if step["memory"] else []
        needs += [f"at most {step['timeout']:g} s"] if step["timeout"] else []
        lines.append(f"  {step['script']}: {', '.join([*needs, *software])}")
        lines += [f"    {key}: {', '.join(step[key])}" for key in ("inputs", "outputs") if step[key]]
    for job in jobs[:_SHOWN]:
        cells = [f"{name}={value}" for name, value in (*job["values"].items(), *job.get("files", {}).items())]
        name = f"{job['name']}: " if "name" in job else ""
        lines.append(f"  {name}{', '.join(cells) or 'no parameters'}")
    return "\n".join([*lines, f"  and {len(jobs) - _SHOWN} more"] if len(jobs) > _SHOWN else lines)
