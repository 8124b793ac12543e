"""The HPS projects of a user: list them, change the states of their jobs, and delete them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ansys.hps.client import Client
from ansys.hps.client.jms import JmsApi, Job, Project, ProjectApi

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.project import BATCH
from bundler.hps.redaction import plain
from bundler.hps.watch import FAILED

# The states of jobs that have not ended.
UNFINISHED = ("inactive", "pending", "prolog", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectEntry:
    """An HPS project; `created` is the time of the server in ISO 8601."""

    identity: str
    name: str
    created: str
    active: bool


def list_projects(client: Client) -> list[ProjectEntry]:
    """Return the projects that the user can see, the newest first. Raises `HpsError`."""
    with explained(client.url):
        tables = JmsApi(client).get_projects(
            as_objects=False, fields=["id", "name", "creation_time", "active"], sort="-creation_time"
        )
        return [
            ProjectEntry(
                identity=plain(table["id"]),
                name=plain(table.get("name") or ""),
                created=plain(table.get("creation_time") or ""),
                active=bool(table.get("active")),
            )
            for table in tables
        ]


def retry(client: Client, project: str, names: Collection[str] = ()) -> int:
    """Make the failed jobs of `project`, or those with `names`, pending again; return their number.

    Raises `HpsError`, also for a name that no job has.
    """
    return _change(client, project, names, FAILED, "pending")


def abort(client: Client, project: str, names: Collection[str] = ()) -> int:
    """Abort the unfinished jobs of `project`, or those with `names`; return their number.

    Raises `HpsError`, also for a name that no job has.
    """
    return _change(client, project, names, UNFINISHED, "aborted")


def _change(client: Client, project: str, names: Collection[str], states: Collection[str], state: str) -> int:
    with explained(client.url):
        api = ProjectApi(client, project)
        jobs = api.get_jobs(as_objects=False, fields=["id", "name", "eval_status"])
    unknown = sorted(set(names) - {str(job.get("name")) for job in jobs})
    if unknown:
        raise HpsError(project, f"has no job {', '.join(unknown)}", "see results.csv for the names of jobs")
    selection = [job for job in jobs if (not names or job["name"] in names) and job["eval_status"] in states]
    with explained(client.url):
        for start in range(0, len(selection), BATCH):
            batch = [Job(id=job["id"], eval_status=state) for job in selection[start : start + BATCH]]
            api.update_jobs(batch, as_objects=False)
    return len(selection)


def delete(client: Client, project: str) -> None:
    """Delete `project` with its jobs and results. Raises `HpsError`."""
    with explained(client.url):
        JmsApi(client).delete_project(Project(id=project))


def count_states(client: Client, project: str) -> tuple[dict[str, int], list[tuple[str, str, str]]]:
    """Return the number of jobs of `project` in each state, and (ID, name, state) of the failed ones.

    Raises `HpsError`.
    """
    with explained(client.url):
        jobs = ProjectApi(client, project).get_jobs(as_objects=False, fields=["id", "name", "eval_status"])
    counts: dict[str, int] = {}
    for job in jobs:
        counts[plain(job["eval_status"])] = counts.get(plain(job["eval_status"]), 0) + 1
    failed = [(job["id"], str(job.get("name")), job["eval_status"]) for job in jobs if job["eval_status"] in FAILED]
    return counts, failed
