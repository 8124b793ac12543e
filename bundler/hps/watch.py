"""Watch the jobs of an HPS project, requesting only changes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain

STATES = ("inactive", "pending", "prolog", "running", "evaluated", "failed", "timeout", "aborted")
FINISHED = frozenset(("evaluated", "failed", "timeout", "aborted"))
FAILED = ("failed", "timeout", "aborted")
# It is not documented that the modification time of a job changes with its state, so all are read now and then.
_ALL_EVERY = 10
# Failed requests in a row that are tolerated.
_MISSES = 5
_LINES = 15
# Seconds without any change after which jobs in undocumented states are no longer waited for.
_STRANGE = 600.0
_SHOWN_STATE = 40
# Among thousands of failing jobs, the first ones matter: they mostly fail for the same reason.
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Numbers of jobs by state, in the order of `STATES`; `failed` are (ID, name, state) of newly failed jobs."""

    counts: dict[str, int]
    failed: tuple[tuple[str, str, str], ...]
    stuck: float

    @property
    def done(self) -> bool:
        """Whether no job will change any more."""
        return set(self.counts) <= FINISHED


def watch(client: Client, project: str, interval: float) -> Iterator[Status]:
    """Yield the status of `project` every `interval` seconds until all jobs have ended.

    Raises `HpsError` if the server does not answer, or if nothing changes while jobs are in undocumented states.
    `stuck` of a status is the number of seconds in which all remaining jobs were pending and none changed.
    """
    api = ProjectApi(client, project)
    states: dict[str, dict[str, Any]] = {}
    changed_at = time.monotonic()
    asked = missed = 0
    while True:
        everything = asked % _ALL_EVERY == 0
        try:
            jobs = _changed(client, api, states, everything=everything)
        except HpsError:
            missed += 1
            if missed > _MISSES or not asked:
                raise
            time.sleep(min(interval * 2**missed, 30.0))
            continue
        asked, missed = asked + 1, 0
        known_before = {identity: job["eval_status"] for identity, job in states.items()}
        news = [job for job in jobs.values() if known_before.get(job["id"]) != job["eval_status"]]
        # Jobs may have been deleted.
        states = jobs if everything else {**states, **jobs}
        if not states:
            raise HpsError(client.url, f"the HPS project {project} has no jobs", "check the ID")
        if any(job["eval_status"] in STATES or known_before.get(job["id"]) in STATES for job in news):
            changed_at = time.monotonic()
        counts = Counter(job["eval_status"] for job in states.values())
        _require_documented(client, counts, time.monotonic() - changed_at)
        waiting = bool(counts["pending"]) and not (counts["running"] or counts["prolog"])
        failed = tuple((job["id"], job["name"], job["eval_status"]) for job in news if job["eval_status"] in FAILED)
        order = {state: number for number, state in enumerate(STATES)}
        status = Status(
            counts={state: counts[state] for state in sorted(counts, key=lambda state: order.get(state, len(order)))},
            failed=failed,
            stuck=time.monotonic() - changed_at if waiting else 0.0,
        )
        yield status
        if status.done:
            return
        time.sleep(interval)


def _require_documented(client: Client, counts: Counter[str], unchanged: float) -> None:
    """Raise `HpsError` if jobs stay in undocumented states for `unchanged` seconds."""
    strange = sorted(state for state in counts if state not in STATES)
    if not strange or counts["running"] or counts["prolog"] or unchanged <= _STRANGE:
        return
    total = sum(counts[state] for state in strange)
    jobs = "1 job is" if total == 1 else f"{total} jobs are"
    names = " or ".join(repr(plain(state)[:_SHOWN_STATE]) for state in strange[:_SHOWN])
    raise HpsError(
        client.url,
        f"{jobs} in the state {names}, which HPS does not document, and nothing changed for {unchanged:.0f} s",
        "look at the jobs in the web interface",
    )


def _changed(
    client: Client, api: ProjectApi, jobs: dict[str, dict[str, Any]], *, everything: bool
) -> dict[str, dict[str, Any]]:
    """Return the jobs that changed since the newest known change, by the server's clock, by ID."""
    with explained(client.url):
        times = [job["modification_time"] for job in jobs.values() if job["modification_time"]]
        query: dict[str, Any] = {"fields": ["id", "name", "eval_status", "modification_time"]}
        if times and not everything:
            query["modification_time.ge"] = max(times, key=_moment)
        return {
            str(job["id"]): {
                "id": str(job["id"]),
                "name": plain(job.get("name") or job["id"]),
                "eval_status": str(job["eval_status"]),
                "modification_time": job.get("modification_time"),
            }
            for job in api.get_jobs(as_objects=False, **query)
        }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
