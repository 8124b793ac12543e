"""The HPS projects of a user: list them, change the states of their jobs, and delete them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ansys.hps.client import Client
from ansys.hps.client.jms import JmsApi, Job, Project, ProjectApi

from bundler.hps.batches import batches
from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.lists import read_all
from bundler.hps.project import BATCH
from bundler.hps.redaction import plain
from bundler.hps.watch import FAILED, FailedJob
from bundler.jobs.table import Record

# The states of jobs that have not ended.
_UNFINISHED = ("inactive", "pending", "prolog", "running")


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
            as_objects=False,
            fields=["id", "name", "creation_time", "active"],
            sort="-creation_time",
        )
        return list(map(_entry, tables))


def _entry(table: Record) -> ProjectEntry:
    return ProjectEntry(
        identity=plain(table["id"]),
        name=plain(table.get("name") or ""),
        created=plain(table.get("creation_time") or ""),
        active=bool(table.get("active")),
    )


def retry(
    client: Client,
    project: str,
    names: Collection[str] = (),
) -> int:
    """Make the failed jobs of `project`, or those with `names`, pending again; return their number.

    Raises `HpsError`, also for a name that no job has.
    """
    return _change(client, project, names, FAILED, "pending")


def abort(
    client: Client,
    project: str,
    names: Collection[str] = (),
) -> int:
    """Abort the unfinished jobs of `project`, or those with `names`; return their number.

    Raises `HpsError`, also for a name that no job has.
    """
    return _change(client, project, names, _UNFINISHED, "aborted")


def _change(
    client: Client,
    project: str,
    names: Collection[str],
    states: Collection[str],
    state: str,
) -> int:
    jobs = select(project, _jobs_of(client, project), names)
    with explained(client.url):
        api = ProjectApi(client, project)
        changes = [
            Job(id=job["id"], eval_status=state) for job in jobs if job["eval_status"] in states
        ]
        for batch in batches(changes, BATCH):
            api.update_jobs(batch, as_objects=False)
    return len(changes)


def _jobs_of(client: Client, project: str) -> Sequence[Record]:
    with explained(client.url):
        return read_all(
            ProjectApi(client, project).get_jobs,
            fields=["id", "name", "eval_status"],
        )


def select(
    project: str,
    jobs: Sequence[Record],
    names: Collection[str],
) -> Sequence[Record]:
    """Return those of `jobs` with `names`, or all without any. Raises `HpsError` for a name that no job has."""
    if not names:
        return jobs
    unknown = set(names).difference(str(job.get("name")) for job in jobs)
    if unknown:
        fact = f"has no job {', '.join(sorted(unknown))}"
        raise HpsError(project, fact, "see results.csv for the names of jobs")
    return [job for job in jobs if job["name"] in names]


def find_job(client: Client, project: str, job: str) -> Record:
    """Return the ID, name and state of the job of `project` with this name or ID. Raises `HpsError`."""
    jobs = _jobs_of(client, project)
    for record in jobs:
        if job in (record["id"], record.get("name")):
            return record
    (found,) = select(project, jobs, [job])
    return found


def delete(client: Client, project: str) -> None:
    """Delete `project` with its jobs and results. Raises `HpsError`."""
    with explained(client.url):
        JmsApi(client).delete_project(Project(id=project))


def count_states(client: Client, project: str) -> tuple[dict[str, int], list[FailedJob]]:
    """Return the number of jobs of `project` in each state, and (ID, name, state) of the failed ones.

    Raises `HpsError`.
    """
    counts: Counter[str] = Counter()
    failed = []
    for job in _jobs_of(client, project):
        state = job["eval_status"]
        counts[plain(state)] += 1
        if state in FAILED:
            failed.append((job["id"], str(job.get("name")), state))
    return dict(counts), failed
