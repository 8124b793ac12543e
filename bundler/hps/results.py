"""What jobs left: their output files, checked and named safely, and one table of parameters and results."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansys.hps.client.jms import ProjectApi

from bundler.hps import transfer
from bundler.hps.connection import explained
from bundler.hps.errors import HpsFault
from bundler.progress import Progress
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from ansys.hps.client import Client

TABLE = "results.csv"
# Files of one transfer: enough to keep the worker busy, few enough to lose little when it breaks off.
_BATCH = 64
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a job left: where it goes below the output folder, and where and what it is in the storage."""

    path: str
    source: str
    size: int
    checksum: str


def fetch(client: Client, project: str, folder: Path) -> Generator[Progress, None, tuple[int, Path]]:
    """Download the outputs of every job of `project` below `folder`; return how many, and the table of all jobs.

    What is there whole already is left alone. Raises `HpsFault` for names that lead out of a job's folder, for files
    that do not arrive whole, and what connecting raises.
    """
    yield Progress(text="Asking for the jobs and their files")
    api = ProjectApi(client, project)
    with explained(client.url):
        jobs = api.get_jobs(as_objects=False, fields=["id", "name", "eval_status", "values"])
        tasks = api.get_tasks(as_objects=False, fields=["id", "job_id", "output_file_ids", "trial_number"])
        about = api.get_files(as_objects=False) if any(task.get("output_file_ids") for task in tasks) else []
    places = _places(jobs)
    outputs = _outputs(project, places, tasks, {file["id"]: file for file in about})
    missing = [output for output in outputs if not _is_here(folder, output)]
    total, done = sum(output.size for output in missing), 0
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        _download(client, folder, batch)
        done += sum(output.size for output in batch)
        yield Progress(text=f"Downloading {len(missing)} files", done=done, total=total)
    table = folder / TABLE
    files.write(table, _table(jobs, places))
    return len(outputs), table


def _places(jobs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the folder of each job, by its id: its name where that is plain and nobody else's, else a number."""
    names = [str(job.get("name") or "") for job in jobs]
    folded = [name.casefold() for name in names]
    return {
        job["id"]: name
        if _PLAIN.fullmatch(name) and folded.count(name.casefold()) == 1 and name != TABLE
        else f"job-number-{number}"
        for number, (job, name) in enumerate(zip(jobs, names, strict=True), 1)
    }


def _outputs(
    project: str, places: dict[str, str], tasks: Sequence[dict[str, Any]], about: dict[str, dict[str, Any]]
) -> list[Output]:
    found: dict[str, Output] = {}
    bad = []
    for task in sorted(tasks, key=lambda task: int(task.get("trial_number") or 0)):
        for identity in task.get("output_file_ids") or []:
            file = about.get(identity)
            if file is None or not file.get("hash") or task.get("job_id") not in places:
                continue  # declared and never made
            name = str(file.get("evaluation_path") or file.get("name") or "")
            if not files.safe_path(name):
                bad.append(name)
                continue
            path = f"{places[task['job_id']]}/{name}"
            # Of several trials the last one counts.
            found[path] = Output(
                path=path,
                source=f"{project}/{str(file['storage_id']).rpartition('/')[2]}",
                size=int(file.get("size") or 0),
                checksum=str(file["hash"]).casefold(),
            )
    if bad:
        names = ", ".join(sorted({repr(name) for name in bad}))
        raise HpsFault(
            "The server", f"names output files that lead out of a job's folder: {names}", "Nothing was downloaded."
        )
    return list(found.values())


def _is_here(folder: Path, output: Output) -> bool:
    path = folder / output.path
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == output.size
        and transfer.checksum(path) == output.checksum
    )


def _download(client: Client, folder: Path, batch: Sequence[Output]) -> None:
    targets = {output.source: files.beside(folder / output.path) for output in batch}
    try:
        for target in targets.values():
            with files.explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            if not target.parent.resolve().is_relative_to(folder.resolve()):
                raise HpsFault(str(target.parent), "leads out of the output folder", "Remove the link.")
        transfer.download(client, targets)
        for output in batch:
            partial = targets[output.source]
            if not partial.is_file() or transfer.checksum(partial) != output.checksum:
                raise HpsFault(output.path, "did not arrive whole (its checksum differs)", "Fetch again.")
            with files.explained(partial):
                partial.replace(folder / output.path)
    finally:
        for target in targets.values():
            target.unlink(missing_ok=True)


def _table(jobs: Sequence[dict[str, Any]], places: dict[str, str]) -> bytes:
    names = sorted({name for job in jobs for name in job.get("values") or {}})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["job", "status", *names])
    for job in sorted(jobs, key=lambda job: places[job["id"]]):
        values = job.get("values") or {}
        writer.writerow([places[job["id"]], job["eval_status"], *(values.get(name, "") for name in names)])
    return text.getvalue().encode()
