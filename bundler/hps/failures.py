"""Why jobs failed: the error and the console output that their tasks left."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi

from bundler.errors import BundlerError
from bundler.hps import transfer
from bundler.hps.batches import IDS, batches
from bundler.hps.connection import explained
from bundler.hps.criteria import read_unmet
from bundler.hps.lists import read_all
from bundler.hps.outputs import FILE_FIELDS, TASK_FIELDS, latest, location
from bundler.hps.redaction import plain, printable
from bundler.hps.watch import FailedJob
from bundler.jobs.console import LAST_LINES, UNCLEAR, reason_in
from bundler.jobs.table import CONSOLE, Record
from bundler.node.errors import ERROR_FILE

# Groups of failures whose console output is shown.
_SHOWN = 3
# Names of jobs that are listed.
_NAMES = 3
# Bytes of an error file; ours have a few hundred.
_LIMIT = 1 << 16
# Bytes of a console output, and the number of them, that are read to explain failures.
_CONSOLE_LIMIT, _MOST_CONSOLES = 1 << 20, 100
_NODE = re.compile(r"node (\S+): (.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Jobs that ended in the same state for the same reason; "" if it is unknown.

    `nodes` are the nodes on which they ran, `lines` a hint and the last console lines of the first of them.
    """

    jobs: tuple[str, ...]
    state: str
    reason: str
    nodes: tuple[str, ...]
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line about the jobs, and what they wrote indented below."""
        names = ", ".join(self.jobs)
        if len(self.jobs) > _NAMES:
            names = f"{len(self.jobs)} jobs"
        line = f"{names} {self.state}"
        if self.reason:
            line += f": {self.reason}{self._where()}"
        return "\n  ".join([line, *self.lines])

    def _where(self) -> str:
        if not self.nodes:
            return ""
        if len(self.nodes) == 1:
            return f" (node {self.nodes[0]})"
        return f" ({len(self.nodes)} nodes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """A failed job, and what its error file says."""

    identity: str
    name: str
    node: str
    hints: list[str]


def describe_failures(
    client: Client,
    project: str,
    jobs: Sequence[FailedJob],
) -> list[str]:
    """Return the texts of `read_failures`, or the names of `jobs` if their files cannot be read."""
    try:
        return list(map(str, read_failures(client, project, jobs)))
    except BundlerError as error:
        shown = ", ".join(f"{plain(name)} {plain(state)}" for _, name, state in jobs[:_NAMES])
        if len(jobs) > _NAMES:
            shown += f" and {len(jobs) - _NAMES} more"
        return [f"{shown} (the reason cannot be read: {plain(error.message)})"]


def read_failures(
    client: Client,
    project: str,
    jobs: Sequence[FailedJob],
) -> list[Failure]:
    """Return why `jobs` of `project` failed, the most frequent reason first.

    Raises `HpsError`.
    """
    errors, consoles = _files_of(client, project, [identity for identity, _, _ in jobs])
    reasons = _reasons_of(client, project, jobs, errors)
    outputs = _read_texts(client, project, _worth_reading(reasons, consoles))
    groups: dict[tuple[str, str], list[_Failed]] = defaultdict(list)
    for identity, name, state in jobs:
        node, reason, hints = reasons[identity]
        if reason == UNCLEAR:
            reason = plain(reason_in(_text_of(consoles.get(identity), outputs)))
        failed = _Failed(
            identity=identity,
            name=plain(name),
            node=node,
            hints=hints,
        )
        groups[plain(state), reason].append(failed)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    shown = []
    for _, group in ordered[:_SHOWN]:
        console = consoles.get(group[0].identity)
        if console is not None and str(console["hash"]) not in outputs:
            shown.append(console)
    outputs.update(_read_texts(client, project, shown))
    failures = []
    for (state, reason), group in ordered:
        output = _text_of(consoles.get(group[0].identity), outputs)
        failures.append(_failure(state, reason, group, output))
    return failures


def _reasons_of(
    client: Client,
    project: str,
    jobs: Sequence[FailedJob],
    errors: Mapping[str, Record],
) -> dict[str, tuple[str, str, list[str]]]:
    """Return the node, the reason and a hint of each of `jobs` by ID: from its error file, or what it did not leave."""
    texts = _read_texts(client, project, errors.values())
    reasons = {}
    silent = []
    for identity, _, state in jobs:
        reasons[identity] = split_error(_text_of(errors.get(identity), texts))
        _, reason, _ = reasons[identity]
        if state == "failed" and not reason:
            silent.append(identity)
    with explained(client.url):
        for identity, unmet in read_unmet(ProjectApi(client, project), silent).items():
            reasons[identity] = ("", unmet, [])
    return reasons


def _failure(state: str, reason: str, jobs: Sequence[_Failed], output: str) -> Failure:
    """Return the failure of `jobs`, the first of which wrote `output` to its console."""
    first = jobs[0]
    return Failure(
        jobs=tuple(job.name for job in jobs),
        state=state,
        reason=reason,
        nodes=tuple(sorted({job.node for job in jobs if job.node})),
        lines=(*first.hints, *_quoted(first.name, output)),
    )


def _worth_reading(
    reasons: Mapping[str, tuple[str, str, list[str]]],
    consoles: Mapping[str, Record],
) -> list[Record]:
    """Return the records in `consoles` that may say more than the `reasons` of jobs, both by ID."""
    records: list[Record] = []
    for identity, (_, reason, _) in reasons.items():
        console = consoles.get(identity)
        if console is None or reason != UNCLEAR:
            continue
        if int(console.get("size") or 0) <= _CONSOLE_LIMIT and len(records) < _MOST_CONSOLES:
            records.append(console)
    return records


def _files_of(
    client: Client,
    project: str,
    jobs: Sequence[str],
) -> tuple[dict[str, Record], dict[str, Record]]:
    """Return the records of the error files and of the console files that the last tasks of `jobs` left, by job ID."""
    api = ProjectApi(client, project)
    tasks: list[Record] = []
    records: list[Record] = []
    owners: dict[str, str] = {}
    with explained(client.url):
        # Without an ID, the client would return everything in the project.
        for batch in batches(jobs, IDS):
            tasks += read_all(
                api.get_tasks,
                job_id=list(batch),
                fields=[*TASK_FIELDS],
            )
        for task in latest(tasks):
            job = str(task.get("job_id"))
            identities = map(str, task.get("output_file_ids") or [])
            owners.update(dict.fromkeys(identities, job))
        for batch in batches(list(owners), IDS):
            records += read_all(
                api.get_files,
                id=batch,
                fields=[*FILE_FIELDS],
            )
    found: dict[str, dict[str, Record]] = {ERROR_FILE: {}, CONSOLE: {}}
    for record in records:
        path = record.get("evaluation_path")
        if path in (ERROR_FILE, CONSOLE) and record.get("hash") and record.get("id") in owners:
            job = owners[record["id"]]
            found[path][job] = record
    return found[ERROR_FILE], found[CONSOLE]


def _read_texts(
    client: Client,
    project: str,
    records: Iterable[Record],
) -> dict[str, str]:
    """Return the contents of the files of `records` by checksum; equal files are downloaded once.

    Error files that are too large are not downloaded. Raises `HpsError`.
    """
    sources = {}
    for record in records:
        if record.get("evaluation_path") == CONSOLE or int(record.get("size") or 0) <= _LIMIT:
            sources[str(record["hash"])] = location(project, record["storage_id"])
    texts = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            source: Path(folder, str(number)) for number, source in enumerate(sources.values())
        }
        if paths:
            transfer.download(client, paths)
        for checksum, source in sources.items():
            path = paths[source]
            if path.is_file():
                texts[checksum] = path.read_text(encoding="utf-8", errors="replace")
    return texts


def _text_of(record: Record | None, texts: Mapping[str, str]) -> str:
    if record is None:
        return ""
    return texts.get(str(record["hash"]), "")


def split_error(text: str) -> tuple[str, str, list[str]]:
    """Return the node, the reason and the remaining lines of an error file, fit for a terminal."""
    # The file of a job that was ended from outside is blank: it had only room for an error.
    lines = list(map(printable, text.strip().splitlines()))
    if not lines:
        return "", "", []
    reason = lines.pop(0)
    match = _NODE.fullmatch(reason)
    if match:
        return match[1], match[2], lines
    return "", reason, lines


def _quoted(job: str, output: str) -> list[str]:
    """Return the last lines of the console `output` of `job`, with a title; nothing if it is empty."""
    lines = [f"  {printable(line)}" for line in output.splitlines()[-LAST_LINES:]]
    if lines:
        lines.insert(0, f"last lines of the console output of {job}:")
    return lines
