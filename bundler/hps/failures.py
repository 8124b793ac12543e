"""Why jobs failed: the error and the console output that their tasks left."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansys.hps.client import Client
from ansys.hps.client.jms import ProjectApi

from bundler.errors import BundlerError
from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.outputs import CONSOLE, FILE_FIELDS, TASK_FIELDS, latest
from bundler.hps.redaction import plain, without_secrets
from bundler.node.errors import ERROR_FILE

# IDs in one request: their URL stays below the 8 kB that servers accept.
_BATCH = 100
# Groups of failures whose console output is shown, and lines of it.
_SHOWN, _LINES = 3, 15
# Names of jobs that are listed.
_NAMES = 3
# Bytes of an error file; ours have a few hundred.
_LIMIT = 1 << 16
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
        names = ", ".join(self.jobs) if len(self.jobs) <= _NAMES else f"{len(self.jobs)} jobs"
        where = f" (node {self.nodes[0]})" if len(self.nodes) == 1 else f" ({len(self.nodes)} nodes)" * bool(self.nodes)
        reason = f": {self.reason}{where}" if self.reason else ""
        return "\n  ".join([f"{names} {self.state}{reason}", *self.lines])


def read_failures(client: Client, project: str, jobs: Sequence[tuple[str, str, str]]) -> list[Failure]:
    """Return why `jobs` of `project`, (ID, name, state) of each, failed, the most frequent reason first.

    Raises `HpsError`.
    """
    files = _files_of(client, project, [identity for identity, _, _ in jobs])
    errors = {identity: paths[ERROR_FILE] for identity, paths in files.items() if ERROR_FILE in paths}
    texts = read_texts(client, project, errors.values())
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    nodes: dict[tuple[str, str], set[str]] = defaultdict(set)
    hints: dict[tuple[str, str], list[str]] = {}
    for identity, name, state in jobs:
        text = texts.get(str(errors[identity]["hash"]), "") if identity in errors else ""
        node, reason, hint = split_error(text)
        key = (plain(state), reason)
        groups[key].append((identity, plain(name)))
        nodes[key] |= {node} if node else set()
        hints.setdefault(key, hint)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    consoles = {members[0][0] for _, members in ordered[:_SHOWN]}
    outputs = read_texts(client, project, (files[key][CONSOLE] for key in consoles if CONSOLE in files.get(key, {})))
    failures = []
    for key, members in ordered:
        console = files.get(members[0][0], {}).get(CONSOLE, {})
        output = outputs.get(str(console.get("hash")), "").splitlines()[-_LINES:]
        quoted = [f"last lines of the console output of {members[0][1]}:", *(f"  {_shown(line)}" for line in output)]
        failures.append(
            Failure(
                jobs=tuple(name for _, name in members),
                state=key[0],
                reason=key[1],
                nodes=tuple(sorted(nodes[key])),
                lines=(*hints[key], *(quoted if output else [])),
            )
        )
    return failures


def _files_of(client: Client, project: str, jobs: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the records of the error and console files that the last task of each job left, by job ID and path."""
    api = ProjectApi(client, project)
    task_fields, file_fields = [*TASK_FIELDS], [*FILE_FIELDS]
    tasks: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    with explained(client.url):
        for batch in _batches(jobs):
            tasks += api.get_tasks(as_objects=False, job_id=batch, fields=task_fields)
        owners = {
            str(identity): str(task.get("job_id"))
            for task in latest(tasks)
            for identity in task.get("output_file_ids") or []
        }
        for batch in _batches(list(owners)):
            records += api.get_files(as_objects=False, id=batch, fields=file_fields)
    files: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for record in records:
        path = record.get("evaluation_path")
        if path in (ERROR_FILE, CONSOLE) and record.get("hash") and record.get("id") in owners:
            files[owners[record["id"]]][path] = record
    return files


def _batches(items: Sequence[str]) -> Iterator[list[str]]:
    # Without an ID, the client would return everything in the project.
    for start in range(0, len(items), _BATCH):
        yield list(items[start : start + _BATCH])


def read_texts(client: Client, project: str, records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the contents of the files of `records` by checksum; equal files are downloaded once.

    Large console output is cut. Raises `HpsError`.
    """
    sources = {
        str(record["hash"]): f"{project}/{str(record['storage_id']).rpartition('/')[2]}"
        for record in records
        if record.get("evaluation_path") == CONSOLE or int(record.get("size") or 0) <= _LIMIT
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = {source: Path(folder, str(number)) for number, source in enumerate(sources.values())}
        if paths:
            transfer.download(client, paths)
        return {
            checksum: paths[source].read_text(encoding="utf-8", errors="replace")
            for checksum, source in sources.items()
            if paths[source].is_file()
        }


def split_error(text: str) -> tuple[str, str, list[str]]:
    """Return the node, the reason and the remaining lines of an error file, fit for a terminal."""
    first, *rest = [_shown(line) for line in text.splitlines()] or [""]
    match = _NODE.fullmatch(first)
    node, reason = (match[1], match[2]) if match else ("", first)
    return node, reason, rest


def _shown(line: str) -> str:
    """Return `line` without secrets and control characters, since a job must not control the user's terminal."""
    return "".join(character if character.isprintable() else "?" for character in without_secrets(line))


def describe_failures(client: Client, project: str, jobs: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return the texts of `read_failures`, or the names of `jobs` if their files cannot be read."""
    try:
        return [str(failure) for failure in read_failures(client, project, jobs)]
    except BundlerError as error:
        names = ", ".join(f"{plain(name)} {plain(state)}" for _, name, state in jobs[:_NAMES])
        more = f" and {len(jobs) - _NAMES} more" if len(jobs) > _NAMES else ""
        return [f"{names}{more} (the reason cannot be read: {plain(error.message)})"]
