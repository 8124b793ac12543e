"""The jobs of a submission: their parameters and input files, from the rows of a table or sweep."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bundler.errors import SweepError
from bundler.jobs.sweep import Row

# Columns of a table that describe a job and are no parameters.
_COLUMNS = ("job", "note", "priority")
_PRIORITY = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
# Also the names of folders that `fetch` writes.
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RULES = {
    "priority": (_PRIORITY, "an integer of at least 0, which is the highest"),
    "job": (_JOB_NAME, "at most 100 letters, digits and ._-, and start with a letter or digit"),
}
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
    rows: Sequence[Row],
    inputs: Collection[str],
    parameters: Collection[str],
    folder: Path,
) -> tuple[list[Row], list[Job]]:
    """Return the parameters of each of `rows`, and the jobs without them.

    A column named like one of `inputs`, or like its file name, contains the input file of each job; relative paths
    start at `folder`. The columns `job`, `note` and `priority` describe the job, unless a script declares a parameter
    of this name. Raises `SweepError` with everything that is wrong.
    """
    file_columns = _file_columns(rows, inputs, parameters)
    taken = {*parameters, *file_columns}
    special = [name for name in _COLUMNS if name not in taken]
    described = {*file_columns, *special}
    values, jobs = [], []
    problems: list[str] = []
    for number, row in enumerate(rows, 1):
        files = {}
        for name, text in _filled(row, file_columns).items():
            files[file_columns[name]] = folder / text
        about = _filled(row, special)
        wrong = [f"{path} is not a readable file" for path in files.values() if not path.is_file()]
        wrong += _problems_of(about)
        problems += [f"row {number}: {problem}" for problem in wrong]
        jobs.append(_job(files, about))
        values.append({name: value for name, value in row.items() if name not in described})
    problems += _problems_of_names(jobs)
    if problems:
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more")
        raise SweepError("jobs", "; ".join(shown), "fix the table")
    return values, jobs


def _file_columns(
    rows: Sequence[Row],
    inputs: Collection[str],
    parameters: Collection[str],
) -> dict[str, str]:
    """Return the input file that each column of `rows` is for. Raises `SweepError` if it could be for several."""
    used = set[str]().union(*rows).difference(parameters)
    for name in sorted(used.difference(inputs)):
        paths = [path for path in inputs if PurePosixPath(path).name == name]
        if len(paths) > 1:
            raise SweepError(
                f"column {name}",
                f"may be for {', '.join(paths)}",
                "use one of these paths as its name",
            )
    columns = {PurePosixPath(path).name: path for path in inputs}
    columns.update(zip(inputs, inputs, strict=True))
    return {name: path for name, path in columns.items() if name in used}


def _filled(row: Row, columns: Iterable[str]) -> dict[str, str]:
    """Return the cells of `columns` that are not empty, as text."""
    filled = {}
    for name in columns:
        cell = row.get(name)
        if cell not in (None, ""):
            filled[name] = str(cell)
    return filled


def _job(files: Mapping[str, Path], about: Mapping[str, str]) -> Job:
    priority = about.get("priority", "")
    valid = _PRIORITY.fullmatch(priority)
    return Job(
        values={},
        files=files,
        name=about.get("job"),
        note=about.get("note"),
        priority=int(priority) if valid else None,
    )


def _problems_of(about: Mapping[str, str]) -> list[str]:
    problems = []
    for column, (pattern, rule) in _RULES.items():
        value = about.get(column)
        if value is not None and not pattern.fullmatch(value):
            problems.append(f"{column} must be {rule} (got {value[:_CUT]!r})")
    return problems


def _problems_of_names(jobs: Sequence[Job]) -> list[str]:
    names = Counter(job.name for job in jobs if job.name is not None)
    problems = [f"two jobs are called {name}" for name in sorted(names) if names[name] > 1]
    if 0 < names.total() < len(jobs):
        problems.append("some rows have no value for job")
    return problems
