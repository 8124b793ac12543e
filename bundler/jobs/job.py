"""The jobs of a submission: their parameters and input files, from the rows of a table or sweep."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from bundler.errors import SweepError
from bundler.jobs.sweep import Row

# Columns of a table that describe a job and are no parameters.
NAME, NOTE, PRIORITY = "job", "note", "priority"
_COLUMNS = (NAME, NOTE, PRIORITY)
_POSITIVE = re.compile(r"[1-9]\d{0,8}", re.ASCII)
# Also the names of folders that `fetch` writes.
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Characters of a wrong cell that an error quotes.
_CUT = 60
# Wrong cells that an error lists.
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: the values of its parameters, and its own input files by their path in the folder of the job.

    `name`, `note` and `priority` are None if HPS or the submission chooses them.
    """

    values: Row
    files: Mapping[str, Path] = field(default_factory=dict)
    name: str | None = None
    note: str | None = None
    priority: int | None = None


def split_rows(
    rows: Sequence[Row], inputs: Collection[str], parameters: Collection[str], folder: Path
) -> tuple[list[Row], list[Job]]:
    """Return the parameters of each of `rows`, and the jobs without them.

    A column named like one of `inputs`, or like its file name, contains the input file of each job; relative paths
    start at `folder`. The columns `job`, `note` and `priority` describe the job, unless a script declares a parameter
    of this name. Raises `SweepError` with everything that is wrong.
    """
    columns = _file_columns(rows, inputs, parameters)
    special = [name for name in _COLUMNS if name not in parameters and name not in columns]
    values, jobs, problems = [], [], []
    for number, row in enumerate(rows, 1):
        files = {path: folder / str(row[name]) for name, path in columns.items() if row.get(name) not in (None, "")}
        about = {name: str(row[name]) for name in special if row.get(name) not in (None, "")}
        problems += [f"row {number}: {path} is not a readable file" for path in files.values() if not path.is_file()]
        problems += [f"row {number}: {problem}" for problem in _problems(about)]
        priority = about.get(PRIORITY, "0")
        jobs.append(
            Job(
                values={},
                files=files,
                name=about.get(NAME),
                note=about.get(NOTE),
                priority=int(priority) if _POSITIVE.fullmatch(priority) else None,
            )
        )
        values.append({name: value for name, value in row.items() if name not in columns and name not in special})
    names: list[str] = [job.name for job in jobs if job.name is not None]
    problems += [f"two jobs are called {name}" for name, number in sorted(Counter(names).items()) if number > 1]
    if names and len(names) < len(jobs):
        problems.append(f"some rows have no value for {NAME}")
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise SweepError("jobs", "; ".join([*problems[:_SHOWN], *more]), "fix the table")
    return values, jobs


def _file_columns(rows: Sequence[Row], inputs: Collection[str], parameters: Collection[str]) -> dict[str, str]:
    """Return the input file that each column of `rows` is for. Raises `SweepError` if it could be for several."""
    short = [PurePosixPath(path).name for path in inputs]
    used = {name for row in rows for name in row} - {*parameters}
    ambiguous = sorted(name for name in used - {*inputs} if short.count(name) > 1)
    if ambiguous:
        paths = ", ".join(path for path in inputs if PurePosixPath(path).name == ambiguous[0])
        raise SweepError(f"column {ambiguous[0]}", f"may be for {paths}", "use one of these paths as its name")
    columns = {**dict(zip(short, inputs, strict=True)), **{path: path for path in inputs}}
    return {name: path for name, path in columns.items() if name in used}


def _problems(about: Mapping[str, Any]) -> list[str]:
    problems = []
    if PRIORITY in about and not _POSITIVE.fullmatch(about[PRIORITY]):
        problems.append(f"{PRIORITY} must be an integer greater than 0 (got {about[PRIORITY][:_CUT]!r})")
    if NAME in about and not _JOB_NAME.fullmatch(about[NAME]):
        problems.append(
            f"{NAME} must be at most 100 letters, digits and ._-, and start with a letter or digit "
            f"(got {about[NAME][:_CUT]!r})"
        )
    return problems
