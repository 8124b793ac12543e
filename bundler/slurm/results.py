"""Collect the outputs of a campaign, and write a table of all its jobs, as for HPS."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bundler.jobs.console import UNCLEAR, reason_in
from bundler.jobs.rehearsal import wildcards
from bundler.jobs.table import CONSOLE, TABLE, Record, table_of
from bundler.node.errors import ERROR_FILE
from bundler.slurm.campaign import FOLDERS, LOGS, STATES, Campaign
from bundler.slurm.queue import submissions, tasks_in_queue
from wheelhouse import atomic, files
from wheelhouse.errors import FileError

_STATE_LIMIT, _END = 512 << 20, 1 << 20
# States of Slurm in which a task has begun; in all others it is still to come.
_BEGUN = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")
_FINAL = ("evaluated", "failed", "timeout", "aborted")
UNSUCCESSFUL = ("failed", "timeout", "aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The state of a job, in the words of HPS, and what it left; `seconds` are 0 if unknown."""

    state: str
    reason: str = ""
    node: str = ""
    seconds: float = 0.0
    values: dict[str, Any] = field(default_factory=dict)


def outcomes(campaign: Campaign) -> list[Outcome]:
    """Return the outcome of each job by its row: every job has exactly one. Raises `BundlerError`."""
    tasks = tasks_in_queue()
    latest: dict[int, str] = {}
    for record in submissions(campaign):
        for index, row in enumerate(record["rows"]):
            latest[row] = f"{record['array']}_{index}"
    # After the queue, since a job that leaves the queue has written its state before.
    return [_outcome(campaign, row, latest.get(row), tasks) for row in range(len(campaign.names))]


def _outcome(campaign: Campaign, row: int, task: str | None, tasks: dict[str, str]) -> Outcome:
    note = _note(campaign, row)
    if task is None and not note:
        return Outcome(state="failed", reason="it was not submitted")
    task = task or str(note.get("job"))
    if note.get("job") != task:
        note = {}  # Of an earlier attempt.
    in_queue = tasks.get(task)
    is_final = note.get("state") in _FINAL
    node = str(note.get("node") or "")
    if in_queue is not None and in_queue not in _BEGUN:
        return Outcome(state="pending")
    if is_final:
        return _noted(campaign, row, note)
    if in_queue is not None:
        return Outcome(state="running", node=node)
    return Outcome(state="failed", reason=_why_gone(campaign, note, task), node=node)


def _noted(campaign: Campaign, row: int, note: dict[str, Any]) -> Outcome:
    """Return the outcome that the job `row` has noted itself."""
    reason = str(note.get("reason") or "")
    if reason == UNCLEAR:
        reason = reason_in(_console(campaign, row))
    values = note.get("values")
    state = str(note["state"])
    if state == "aborted" and "DUE TO TIME LIMIT" in _log(campaign, str(note.get("job"))):
        state = "timeout"
    return Outcome(
        state=state,
        reason=reason,
        node=str(note.get("node") or ""),
        seconds=float(note["seconds"]) if isinstance(note.get("seconds"), int | float) else 0.0,
        values=values if isinstance(values, dict) else {},
    )


def _note(campaign: Campaign, row: int) -> dict[str, Any]:
    """Return what the job `row` noted about itself; nothing if it did not."""
    try:
        note = json.loads(files.read_plain(campaign.folder / STATES / f"{row}.json", _STATE_LIMIT))
    except (ValueError, RecursionError, FileError):
        return {}
    return note if isinstance(note, dict) else {}


def _why_gone(campaign: Campaign, note: dict[str, Any], task: str) -> str:
    """Return why the job of `task` is neither in the queue nor has a final state."""
    if note:
        return "it was killed, or its node failed"
    if not (campaign.folder / LOGS / f"{task}.txt").is_file():
        return "Slurm did not start it, or cannot write its log"
    lines = _log(campaign, task).strip().splitlines()
    return lines[-1] if lines else "it ended before it began"


def _log(campaign: Campaign, task: str) -> str:
    """Return the end of what Slurm wrote about `task`, "" if it is unknown."""
    if not re.fullmatch(r"\d+_\d+", task):
        return ""
    return _end_of(campaign.folder / LOGS / f"{task}.txt")


def _end_of(path: Path) -> str:
    """Return the end of the text file `path`; "" if it cannot be read."""
    try:
        with files.open_plain(path) as source:
            size = source.seek(0, os.SEEK_END)
            source.seek(max(0, size - _END))
            return source.read(_END).decode(errors="replace")
    except (OSError, FileError):
        return ""


def _console(campaign: Campaign, row: int) -> str:
    """Return the console output of the last step of the job `row` that has one."""
    folder = campaign.folder / FOLDERS / campaign.names[row]
    places = [folder, *(folder / step["name"] for step in campaign.table["steps"])]
    for place in reversed(places):
        path = place / CONSOLE
        if path.is_file():
            return _end_of(path)
    return ""


def collect(campaign: Campaign, folder: Path) -> tuple[list[Outcome], Path]:
    """Copy the outputs of all jobs that have ended to `folder`; return all outcomes and the path of the table.

    Complete files are not copied again. Raises `BundlerError`, `FileError`.
    """
    found = outcomes(campaign)
    for row, name in enumerate(campaign.names):
        if found[row].state not in _FINAL:
            continue
        try:
            _copy_outputs(campaign, name, folder / name)
        except (FileError, OSError) as error:
            # One job must not keep the others from being collected.
            found[row] = replace(found[row], reason=f"its outputs cannot be copied ({error})")
    files.make_folder(folder)
    path = folder / TABLE
    atomic.write(path, _table(campaign, found))
    return found, path


def _copy_outputs(campaign: Campaign, name: str, target: Path) -> None:
    source = campaign.folder / FOLDERS / name
    patterns = [CONSOLE, f"*/{CONSOLE}", ERROR_FILE, f"*/{ERROR_FILE}"]
    for step in campaign.table["steps"]:
        patterns += step["outputs"]
    expressions = [wildcards(str(pattern)) for pattern in patterns]
    wanted = _matching(source, expressions)
    # What an earlier attempt left must not look like a result of this one.
    for relative, path in _matching(target, expressions).items():
        if relative not in wanted:
            path.unlink()
    for relative, path in wanted.items():
        place = target / relative
        status = path.stat()
        if place.is_file() and place.stat().st_mtime_ns == status.st_mtime_ns:
            continue
        with files.explained(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = atomic.beside(place)
            files.copy(path, partial)
            os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
            partial.replace(place)


def _matching(folder: Path, expressions: Sequence[re.Pattern[str]]) -> dict[str, Path]:
    """Return the regular files in `folder` whose path below it matches one of `expressions`, by that path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        is_wanted = any(expression.fullmatch(relative) for expression in expressions)
        if is_wanted and path.is_file() and not path.is_symlink():
            found[relative] = path
    return found


def _table(campaign: Campaign, found: list[Outcome]) -> bytes:
    """Return results.csv."""
    jobs: list[Record] = []
    places, reasons = {}, {}
    for job, outcome in zip(campaign.table["jobs"], found, strict=True):
        name = str(job["name"])
        places[name] = name
        values = {**job["values"], **outcome.values}
        jobs.append(
            {
                "id": name,
                "eval_status": outcome.state,
                "values": values,
                "elapsed_time": outcome.seconds,
                "host_ids": [outcome.node] if outcome.node else [],
                "note": job.get("note"),
            }
        )
        if outcome.reason:
            where = f" (node {outcome.node})" if outcome.node else ""
            reasons[name] = outcome.reason + where
    table = campaign.table
    columns = [*table["parameters"], *table["output_parameters"]]
    return table_of(jobs, places, reasons, {}, columns)
