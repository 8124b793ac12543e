"""The table of jobs with their states, parameters and results, which spreadsheets and programs read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

# What a server or a batch system says about a job.
Record = dict[str, Any]
TABLE = "results.csv"
# The console output of a job, or of each of its steps.
CONSOLE = "console_output.txt"
# The columns of the table that are not parameters; the reason of a failure comes last.
_BEFORE, _AFTER = ("job", "status"), ("fitness", "seconds", "evaluators", "note", "reason")
# A spreadsheet treats a cell that starts with one of these as a formula; the last four are full-width forms.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")


def table_of(
    jobs: Sequence[Record],
    places: dict[str, str],
    reasons: dict[str, str],
    hosts: dict[str, str],
    parameters: Sequence[str] = (),
) -> bytes:
    """Return a CSV file with a row for each of `jobs`: folder, state, values of parameters, and what follows from them.

    `places` and `reasons` (of failures) are by ID of the job, `hosts` are names of evaluators by ID of the host.
    `parameters` are in the order of their columns; other values follow them.
    """
    used: set[str] = set()
    for job in jobs:
        used.update(map(str, job.get("values") or {}))
    columns = [name for name in parameters if name in used]
    columns += sorted(used.difference(columns))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_BEFORE, *map(_title, columns), *_AFTER])
    for job in sorted(jobs, key=lambda job: places[job["id"]]):
        cells = [*_cells(job, columns, hosts), reasons.get(job["id"], "")]
        writer.writerow([places[job["id"]], *map(_cell, cells)])
    return text.getvalue().encode("utf-8", "replace")


def _cells(job: Record, parameters: Sequence[str], hosts: dict[str, str]) -> list[object]:
    """Return the cells of `job` between its folder and its reason."""
    values = job.get("values") or {}
    evaluators = [hosts.get(host, host) for host in map(str, job.get("host_ids") or [])]
    fitness = job.get("fitness")
    return [
        job["eval_status"],
        *(values.get(name, "") for name in parameters),
        "" if fitness is None else fitness,
        job.get("elapsed_time") or "",
        " ".join(evaluators),
        job.get("note") or "",
    ]


def _title(parameter: str) -> object:
    if parameter in (*_BEFORE, *_AFTER):
        return f"value of {parameter}"
    return _cell(parameter)


def _cell(value: object) -> object:
    """Return `value` so that a spreadsheet does not run it as a formula, even after invisible characters."""
    if not isinstance(value, str):
        return value
    # Spreadsheets end a row at a lone carriage return, which csv does not quote before Python 3.13.
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    visible = (
        character for character in value if character.isprintable() and not character.isspace()
    )
    if next(visible, "") in _FORMULA or value.startswith(("\t", "\n")):
        return f"'{value}"
    return value
