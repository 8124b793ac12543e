"""What the scripts of a job printed, also while they run: from the monitor of HPS, or from collected files."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi
from ansys.hps.client.monitor import MonitorApi
from websocket import WebSocketException

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.lists import read_all
from bundler.hps.outputs import FILE_FIELDS, TASK_FIELDS, latest, location
from bundler.hps.projects import find_job
from bundler.hps.redaction import printable
from bundler.hps.watch import FINISHED
from bundler.jobs.table import CONSOLE, Record

# Lines before now that the monitor is asked for.
_BACKLOG = 1000
# Seconds without a new line after which the task is looked at again; a stream has no end of its own.
_IDLE_NOW, _IDLE = 1.5, 3.0
# Seconds between looks at a job, or at a file that is collected while a task runs.
_INTERVAL = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that the script of a step printed, fit for a terminal."""

    step: str
    text: str


def read_log(
    client: Client,
    project: str,
    job: str,
    *,
    follow: bool = False,
) -> Iterator[Line]:
    """Yield the console output of the job of `project` with this name or ID: of each step, its last attempt.

    With `follow`, waits for more until the job has ended. Raises `HpsError`.
    """
    with explained(client.url):
        api = ProjectApi(client, project)
        steps = {}
        for definition in read_all(api.get_task_definitions, fields=["id", "name"]):
            steps[definition["id"]] = str(definition.get("name"))
        shown: set[str] = set()
        while True:
            # In this order: a job that has ended gets no further tasks.
            state = find_job(client, project, job)["eval_status"]
            for task in _tasks_of(client, project, job):
                if task["id"] in shown or (follow and not _has_begun(task)):
                    continue
                shown.add(task["id"])
                step = steps.get(task.get("task_definition_id"), "")
                for text in _lines_of(client, project, task, follow=follow):
                    yield Line(step=step, text=printable(text))
            if not follow or state in FINISHED:
                return
            time.sleep(_INTERVAL)


def _tasks_of(client: Client, project: str, job: str) -> list[Record]:
    identity = find_job(client, project, job)["id"]
    fields = [*TASK_FIELDS, "eval_status"]
    read = ProjectApi(client, project).get_tasks
    return latest(read_all(read, job_id=[identity], fields=fields))


def _has_begun(task: Record) -> bool:
    return task.get("eval_status") not in ("inactive", "pending")


def _has_ended(task: Record) -> bool:
    return task.get("eval_status") in FINISHED


def _lines_of(client: Client, project: str, task: Record, *, follow: bool) -> Iterator[str]:
    """Yield the lines that the script of `task` printed; with `follow`, until it has ended."""
    lines: list[str] = []
    seen: set[str] = set()
    while not _has_ended(task):
        try:
            for line in _monitored(client, task, seen, _IDLE if follow else _IDLE_NOW):
                lines.append(line)
                yield line
        except (WebSocketException, OSError, ValueError):
            # Older servers have no monitor; they may collect the file while the task runs.
            for line in _after(lines, _collected(client, project, task)):
                lines.append(line)
                yield line
            if follow:
                time.sleep(_INTERVAL)
        if not follow:
            break
        task = _again(client, project, task)
    yield from _after(lines, _collected(client, project, task))


def _monitored(client: Client, task: Record, seen: set[str], idle: float) -> Iterator[str]:
    """Yield the lines that the monitor has of `task`, until there was none for `idle` seconds.

    `seen` are messages of earlier calls, which come first again; those of this one are added. Raises the errors of
    the connection.
    """
    monitor = MonitorApi(
        client,
        ws_connection_options=_connection_options(client),
        timeout_seconds=idle,
    )
    is_repeated = bool(seen)
    messages = monitor.stream_task_logs(task["id"], file_path=CONSOLE, backlog=_BACKLOG)
    for message in messages:
        key = repr(sorted(message.items()))
        is_repeated = is_repeated and key in seen
        seen.add(key)
        if not is_repeated and "message" in message:
            yield from str(message["message"]).splitlines()


def _connection_options(client: Client) -> dict[str, Any]:
    """Return how a WebSocket verifies the server, as the session of `client` does."""
    verify = client.session.verify
    if verify is False:
        return {"sslopt": {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}}
    if isinstance(verify, str):
        return {"sslopt": {"ca_certs": verify}}
    return {}


def _again(client: Client, project: str, task: Record) -> Record:
    """Return `task` as it is now."""
    fields = [*TASK_FIELDS, "eval_status"]
    tasks = ProjectApi(client, project).get_tasks(as_objects=False, id=[task["id"]], fields=fields)
    if tasks:
        return dict(tasks[0])
    # A deleted task has ended.
    return {**task, "eval_status": "aborted"}


def _collected(client: Client, project: str, task: Record) -> list[str]:
    """Return the lines of the console output of `task` that HPS has collected; nothing if there is none."""
    identities = list(map(str, task.get("output_file_ids") or []))
    if not identities:
        return []
    read = ProjectApi(client, project).get_files
    for record in read_all(read, id=identities, fields=[*FILE_FIELDS]):
        if record.get("evaluation_path") == CONSOLE and record.get("hash"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, CONSOLE)
                transfer.download(client, {location(project, record["storage_id"]): path})
                return path.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def _after(known: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Return those of `lines` that follow `known`, which begins anywhere in them; all if `known` is empty."""
    for start in range(len(lines) - len(known) + 1):
        end = start + len(known)
        if list(lines[start:end]) == list(known):
            return list(lines[end:])
    return []
