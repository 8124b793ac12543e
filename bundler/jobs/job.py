"""The jobs of a submission: their parameters and input files, from the rows of a table or sweep."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from bundler.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from bundler.jobs.sweep import Row

# Columns of a table that describe a job and are no parameters.
NAME, NOTE, PRIORITY = "job", "note", "priority"
_COLUMNS = (NAME, NOTE, PRIORITY)
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

    A column that is called like one of `inputs`, or like its file name, has the input file of each job; relative paths
    start at `folder`. The columns `job`, `note` and `priority` describe the job, unless a script declares a parameter
    of this name. Raises `SweepError` with everything that is wrong.
    """
    columns = {**{PurePosixPath(path).name: path for path in inputs}, **{path: path for path in inputs}}
    columns = {name: path for name, path in columns.items() if name not in parameters}
    special = [name for name in _COLUMNS if name not in parameters and name not in columns]
    values, jobs, problems = [], [], []
    for number, row in enumerate(rows, 1):
        files = {path: folder / str(row[name]) for name, path in columns.items() if row.get(name) not in (None, "")}
        about = {name: str(row[name]) for name in special if row.get(name) not in (None, "")}
        problems += [f"row {number}: {path} is not a readable file" for path in files.values() if not path.is_file()]
        problems += [f"row {number}: {problem}" for problem in _problems(about)]
        priority = about.get(PRIORITY, "")
        jobs.append(
            Job(
                values={},
                files=files,
                name=about.get(NAME),
                note=about.get(NOTE),
                priority=int(priority) if priority.isdecimal() else None,
            )
        )
        values.append({name: value for name, value in row.items() if name not in columns and name not in special})
    names: list[str] = [job.name for job in jobs if job.name is not None]
    problems += [f"two jobs are called {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    if names and len(names) < len(jobs):
        problems.append(f"some rows have no value for {NAME}")
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise SweepError("jobs", "; ".join([*problems[:_SHOWN], *more]), "fix the table")
    return values, jobs


def _problems(about: Mapping[str, Any]) -> list[str]:
    problems = []
    if PRIORITY in about and not about[PRIORITY].isdecimal():
        problems.append(f"{PRIORITY} must be an integer (got {about[PRIORITY]!r})")
    if NAME in about and not re.fullmatch(r"[\w.+=, -]{1,100}", about[NAME]):
        problems.append(f"{NAME} must be at most 100 letters, digits, spaces and .+=,_- (got {about[NAME]!r})")
    return problems
