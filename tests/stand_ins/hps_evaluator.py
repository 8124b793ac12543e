"""A stand-in for an HPS evaluator: takes pending jobs from a stand-in HPS and really runs their execution scripts."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from tests.stand_ins.hps import Hps, Table, now

TEMPLATE = Path(__file__).parents[2] / "bundler" / "templates" / "evaluator.py"
CONSOLE = "console_output.txt"
_TYPES: dict[str, Any] = {"float": (int, float), "int": int, "bool": bool, "string": str}


@dataclass
class Evaluator:
    """One evaluator that works until told to stop; `prefix` keeps the network away from its tasks.

    An `older` one tells scripts their software by name, as `applications`, and nothing of their resources and files.
    """

    hps: Hps
    identity: str
    folder: Path
    software: list[Table]
    environment: dict[str, str]
    prefix: list[str] = field(default_factory=list)
    older: bool = False
    # A guess: whether the console output of a task is collected while it runs, and not only at its end.
    collects_running: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        while not self.stopping.is_set():
            job = self.take()
            if job is None:
                time.sleep(0.02)
            else:
                self.evaluate(*job)

    def take(self) -> tuple[str, Table] | None:
        with self.hps.lock:
            for project, about in self.hps.projects.items():
                for job in self.hps.of(project, "jobs").values():
                    if (
                        about.get("active")
                        and job["eval_status"] == "pending"
                        and self.fits(project, job)
                    ):
                        self.change(job, "prolog")
                        return project, job
        return None

    def fits(self, project: str, job: Table) -> bool:
        return all(
            all(self.hps.matching(definition)[self.identity].values())
            for definition in self.definitions(project, job)
        )

    def definitions(self, project: str, job: Table) -> list[Table]:
        definition = self.hps.of(project, "job_definitions")[job["job_definition_id"]]
        tasks = [
            self.hps.of(project, "task_definitions")[each]
            for each in definition["task_definition_ids"]
        ]
        return sorted(tasks, key=lambda task: int(task.get("execution_level") or 0))

    def change(self, job: Table, status: str) -> None:
        job["eval_status"] = status
        if self.hps.stamps_states:
            job["modification_time"] = now()

    def evaluate(self, project: str, job: Table) -> None:
        start = time.monotonic()
        self.run_steps(project, job)
        job["elapsed_time"] = time.monotonic() - start
        job["host_ids"] = [self.hps.evaluators[self.identity]["host_id"]]

    def run_steps(self, project: str, job: Table) -> None:
        collected: dict[str, Path] = {}
        for definition in self.definitions(project, job):
            with self.hps.lock:
                self.change(job, "running")
            good = False
            for trial in range(int(definition.get("num_trials") or 1)):
                status, good = self.task(project, job, definition, collected, trial)
                if good:
                    break
            if not good:
                with self.hps.lock:
                    self.change(job, status)
                return
        with self.hps.lock:
            self.change(job, "evaluated")

    def task(
        self, project: str, job: Table, definition: Table, collected: dict[str, Path], trial: int
    ) -> tuple[str, bool]:
        """Run one task in a folder of its own; return the status it leads to and whether it succeeded."""
        files = self.hps.of(project, "files")
        place = self.folder / uuid.uuid4().hex
        folder = place / "task"
        folder.mkdir(parents=True)
        for identity in definition.get("input_file_ids") or []:
            source = collected.get(identity) or self.stored(project, files[identity])
            target = folder / str(files[identity]["evaluation_path"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            for name, _, expression in self.mappings(project, job, identity):
                text = target.read_text()
                value = json.dumps((job.get("values") or {})[name])
                target.write_text(re.sub(expression, lambda found: found[1] + value, text))  # noqa: B023
        script = place / "exec_script.py"
        script.write_bytes(
            self.stored(project, files[definition["execution_script_id"]]).read_bytes()
        )
        context = self.context(definition, job, files)
        (place / "context.json").write_text(json.dumps(context))
        command = [
            *self.prefix,
            sys.executable,
            str(TEMPLATE),
            str(script),
            str(place / "context.json"),
        ]
        limit = definition.get("max_execution_time") or None
        task = {
            "id": uuid.uuid4().hex,
            "job_id": job["id"],
            "task_definition_id": definition["id"],
            "trial_number": trial,
            "creation_time": now(),
            "eval_status": "running",
            "output_file_ids": [],
        }
        with self.hps.lock:
            self.hps.of(project, "tasks")[task["id"]] = task
        with self.tailing(project, task, folder), (folder / CONSOLE).open("wb") as console:
            try:
                code: int | None = subprocess.run(
                    command,
                    cwd=folder,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    check=False,
                    timeout=limit,
                ).returncode
            except subprocess.TimeoutExpired:
                code = None
        values = place / "parameter_values.json"
        written = json.loads(values.read_text()) if values.is_file() else {}
        outputs = [files[identity] for identity in definition.get("output_file_ids") or []]
        for output in outputs:
            path = folder / str(output["evaluation_path"])
            for name, kind, expression in self.mappings(project, job, output["id"]):
                match = re.search(expression, path.read_text()) if path.is_file() else None
                if match:
                    written = {**(written or job.get("values") or {}), name: kind(match[2])}
        with self.hps.lock:
            if written:
                job["values"] = written
            made = [
                file
                for output in outputs
                if output.get("collect")
                for file in self.collect(project, folder, output, collected)
            ]
            made += self.collect(
                project, folder, {"name": "console", "evaluation_path": CONSOLE}, collected
            )
            task["eval_status"] = "evaluated" if code == 0 else "failed"
            task["output_file_ids"] = made
        good = code == 0 and self.succeeded(project, definition, folder, written)
        return ("timeout" if code is None else "failed"), good

    def mappings(self, project: str, job: Table, file: str) -> Iterator[tuple[str, Any, str]]:
        """Yield the parameter, its type and an expression for each place in a file; how HPS finds it is only guessed.

        The second group of an expression is the value; a string keeps its quotes.
        """
        definition = self.hps.of(project, "job_definitions")[job["job_definition_id"]]
        for identity in definition.get("parameter_mapping_ids") or []:
            mapping = self.hps.of(project, "parameter_mappings")[identity]
            if mapping["file_id"] != file:
                continue
            parameter = self.hps.of(project, "parameter_definitions")[
                mapping["parameter_definition_id"]
            ]
            before = re.escape(mapping["key_string"]) + r"\s*" + re.escape(mapping["tokenizer"])
            quote = re.escape(mapping.get("string_quote") or "")
            value = f"{quote}[^{quote}]*{quote}" if quote else r"[^\s,;)}\]]*"
            kind = str if parameter["type"] == "string" else float
            yield parameter["name"], kind, rf"({before}\s*)({value})"

    @contextlib.contextmanager
    def tailing(self, project: str, task: Table, folder: Path) -> Iterator[None]:
        """Publish what the task writes to its console while the block runs, and collect it if the evaluator does."""
        ended = threading.Event()

        def tail() -> None:
            known = 0
            is_last = False
            while not is_last:
                is_last = ended.wait(0.1)
                path = folder / CONSOLE
                text = path.read_text(errors="replace") if path.is_file() else ""
                whole = text if is_last else text[: text.rfind("\n") + 1]
                lines = whole.splitlines()
                for line in lines[known:]:
                    self.hps.monitor.add(task["id"], CONSOLE, line, now())
                if self.collects_running and len(lines) > known and not is_last:
                    output = {"name": "console", "evaluation_path": CONSOLE}
                    with self.hps.lock:
                        task["output_file_ids"] = self.collect(project, folder, output, {})
                known = len(lines)

        thread = threading.Thread(target=tail, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def context(self, definition: Table, job: Table, files: dict[str, Table]) -> Table:
        """Return the context of a task as current servers give it, or as older ones."""
        wanted = {each["name"].casefold() for each in definition.get("software_requirements") or []}
        software = [each for each in self.software if each["name"].casefold() in wanted]
        common = {
            "environment": {**self.environment, **(definition.get("environment") or {})},
            "parameter_values": dict(job.get("values") or {}),
            "failure": "silent",
        }
        if self.older:
            return {**common, "applications": {each["name"]: each for each in software}}
        places = {
            key: [
                {"name": files[identity]["name"], "path": files[identity]["evaluation_path"]}
                for identity in definition.get(f"{key[:-1]}_ids") or []
            ]
            for key in ("input_files", "output_files")
        }
        tables = {
            key: definition.get(key) or {} for key in ("resource_requirements", "execution_context")
        }
        return {**common, "software": software, **tables, **places}

    def succeeded(self, project: str, definition: Table, folder: Path, values: Table) -> bool:
        """Return whether a task that ended with 0 fulfils its success criteria; expressions are only guessed."""
        criteria = definition.get("success_criteria") or {}
        files = self.hps.of(project, "files")
        needed = criteria.get("required_output_file_ids") or []
        whole = all(found(folder, str(files[identity]["evaluation_path"])) for identity in needed)
        if criteria.get("require_all_output_parameters"):
            parameters = self.hps.of(project, "parameter_definitions").values()
            for each in parameters:
                if each["mode"] == "output":
                    value = values.get(each["name"])
                    # A guess: whether a value of another type counts.
                    whole = whole and value is not None and isinstance(value, _TYPES[each["type"]])
        return whole and all(
            eval(expression, {"__builtins__": {}}, {"values": values})  # noqa: S307 - of the test
            for expression in criteria.get("expressions") or []
        )

    def stored(self, project: str, file: Table) -> Path:
        return self.hps.storage / project / str(file["storage_id"]).rpartition("/")[2]

    def collect(
        self, project: str, folder: Path, output: Table, collected: dict[str, Path]
    ) -> list[str]:
        """Store the files that match `output`; return their IDs."""
        return [
            self.keep(project, folder, output, path, collected)
            for path in found(folder, output["evaluation_path"])
        ]

    def keep(
        self, project: str, folder: Path, output: Table, source: Path, collected: dict[str, Path]
    ) -> str:
        if "id" in output:
            collected[output["id"]] = source
        data = source.read_bytes()
        one: dict[str, Any] = {
            **output,
            "id": uuid.uuid4().hex,
            "evaluation_path": source.relative_to(folder).as_posix(),
            "reference_id": output.get("id"),
            "hash": xxhash.xxh64(data).hexdigest(),
            "size": len(data),
        }
        one["storage_id"] = f"bucket/{one['id']}"
        target = self.stored(project, one)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.hps.of(project, "files")[one["id"]] = one
        return str(one["id"])


def found(folder: Path, path: str) -> list[Path]:
    """Return the files of `folder` that the evaluation path `path`, which may have wildcards, stands for."""
    return sorted(each for each in folder.glob(path.replace("**", "**/*")) if each.is_file())


@contextlib.contextmanager
def working(*evaluators: Evaluator) -> Iterator[None]:
    """Let the evaluators work while the block runs."""
    threads = [threading.Thread(target=evaluator.work, daemon=True) for evaluator in evaluators]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for evaluator in evaluators:
            evaluator.stopping.set()
        for thread in threads:
            thread.join()
