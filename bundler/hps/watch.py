"""Watch the jobs of an HPS project, requesting only changes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.lists import read_all
from bundler.hps.redaction import plain
from bundler.jobs.table import Record

# The ID, name and state of a job that failed.
FailedJob: TypeAlias = "tuple[str, str, str]"
STATES = ("inactive", "pending", "prolog", "running", "evaluated", "failed", "timeout", "aborted")
FINISHED = frozenset(("evaluated", "failed", "timeout", "aborted"))
FAILED = ("failed", "timeout", "aborted")
# It is not documented that the modification time of a job changes with its state, so all are read now and then.
_ALL_EVERY = 10
_NOT_FOUND = 404
# Failed requests in a row that are tolerated.
_MISSES = 5
# Seconds without any change after which jobs in undocumented states are no longer waited for.
_STRANGE = 600.0
_SHOWN_STATE = 40
# Among thousands of failing jobs, the first ones matter: they mostly fail for the same reason.
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Numbers of jobs by state, in the order of `STATES`; `failed` are (ID, name, state) of newly failed jobs."""

    counts: dict[str, int]
    failed: tuple[FailedJob, ...]
    stuck: float

    @property
    def done(self) -> bool:
        """Whether no job will change any more."""
        return set(self.counts) <= FINISHED


def watch(
    client: Client,
    project: str,
    interval: float,
) -> Iterator[Status]:
    """Yield the status of `project` every `interval` seconds until all jobs have ended.

    Raises `HpsError` if the server does not answer, or if nothing changes while jobs are in undocumented states.
    `stuck` of a status is the number of seconds in which all remaining jobs were pending and none changed.
    """
    api = ProjectApi(client, project)
    jobs: dict[str, Record] = {}
    changed_at = time.monotonic()
    asked = missed = 0
    while True:
        everything = asked % _ALL_EVERY == 0
        try:
            changes = _changes(client, api, jobs, everything=everything)
        except HpsError as error:
            missed += 1
            if missed > _MISSES or not asked:
                raise
            _require_project(client, project, error)
            time.sleep(min(interval * 2**missed, 30.0))
            continue
        asked += 1
        missed = 0
        news = [job for job in changes.values() if job["eval_status"] != job["before"]]
        if everything:
            jobs = changes  # Jobs may have been deleted.
        else:
            jobs.update(changes)
        if not jobs:
            raise HpsError(client.url, f"the HPS project {project} has no jobs", "check the ID")
        if _are_documented(news):
            changed_at = time.monotonic()
        unchanged = time.monotonic() - changed_at
        status = _status(jobs, news, unchanged)
        _require_documented(client, status.counts, unchanged)
        yield status
        if status.done:
            return
        time.sleep(interval)


def _require_project(client: Client, project: str, error: HpsError) -> None:
    """Raise `HpsError` if `error`, of a request about `project`, says that it does not exist any more."""
    if error.status == _NOT_FOUND:
        raise HpsError(
            client.url,
            f"the HPS project {project} was deleted",
            "submit the jobs again, or watch another project",
        ) from error


def _changes(
    client: Client,
    api: ProjectApi,
    jobs: dict[str, Record],
    *,
    everything: bool,
) -> dict[str, Record]:
    """Return the jobs that changed since the newest known change, by the server's clock, by ID.

    `before` is the state in which each was among `jobs`, or None.
    """
    query: dict[str, Any] = {"fields": ["id", "name", "eval_status", "modification_time"]}
    changes = {}
    with explained(client.url):
        times = [job["modification_time"] for job in jobs.values() if job["modification_time"]]
        if times and not everything:
            query["modification_time.ge"] = max(times, key=_moment)
        for job in read_all(api.get_jobs, **query):
            identity = str(job["id"])
            known = jobs.get(identity, {})
            changes[identity] = {
                "id": identity,
                "name": plain(job.get("name") or identity),
                "eval_status": str(job["eval_status"]),
                "before": known.get("eval_status"),
                "modification_time": job.get("modification_time"),
            }
    return changes


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _are_documented(news: Iterable[Record]) -> bool:
    """Return whether one of `news` is about a state that HPS documents; others are not progress."""
    return any(job["eval_status"] in STATES or job["before"] in STATES for job in news)


def _status(
    jobs: dict[str, Record],
    news: Iterable[Record],
    unchanged: float,
) -> Status:
    """Return the status of `jobs`, of which `news` are in another state than before."""
    numbers = dict.fromkeys(STATES, 0)
    for job in jobs.values():
        state = job["eval_status"]
        numbers[state] = numbers.get(state, 0) + 1
    counts = {state: number for state, number in numbers.items() if number}
    failed = []
    for job in news:
        state = job["eval_status"]
        if state in FAILED:
            failed.append((job["id"], job["name"], state))
    stuck = 0.0
    if "pending" in counts and not _are_running(counts):
        stuck = unchanged
    return Status(
        counts=counts,
        failed=tuple(failed),
        stuck=stuck,
    )


def _are_running(counts: Mapping[str, int]) -> bool:
    return "running" in counts or "prolog" in counts


def _require_documented(
    client: Client,
    counts: Mapping[str, int],
    unchanged: float,
) -> None:
    """Raise `HpsError` if jobs stay in undocumented states for `unchanged` seconds."""
    strange = sorted(set(counts).difference(STATES))
    if not strange or _are_running(counts) or unchanged <= _STRANGE:
        return
    total = sum(counts[state] for state in strange)
    jobs = "1 job is" if total == 1 else f"{total} jobs are"
    names = " or ".join(repr(plain(state)[:_SHOWN_STATE]) for state in strange[:_SHOWN])
    raise HpsError(
        client.url,
        f"{jobs} in the state {names}, which HPS does not document, and nothing changed for {unchanged:.0f} s",
        "look at the jobs in the web interface",
    )
