"""A stand-in for an HPS evaluator: takes pending jobs from a stand-in HPS and really runs their execution scripts."""

from __future__ import annotations

import contextlib
import json
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


@dataclass
class Evaluator:
    """One evaluator that works until told to stop; `prefix` keeps the network away from its tasks."""

    hps: Hps
    identity: str
    folder: Path
    software: list[Table]
    environment: dict[str, str]
    prefix: list[str] = field(default_factory=list)
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
                    if about.get("active") and job["eval_status"] == "pending" and self.fits(project, job):
                        self.change(job, "prolog")
                        return project, job
        return None

    def fits(self, project: str, job: Table) -> bool:
        return all(
            all(self.hps.matching(definition)[self.identity].values()) for definition in self.definitions(project, job)
        )

    def definitions(self, project: str, job: Table) -> list[Table]:
        definition = self.hps.of(project, "job_definitions")[job["job_definition_id"]]
        tasks = [self.hps.of(project, "task_definitions")[each] for each in definition["task_definition_ids"]]
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
        script = place / "exec_script.py"
        script.write_bytes(self.stored(project, files[definition["execution_script_id"]]).read_bytes())
        context = {
            "software": [each for each in self.software if definition.get("software_requirements")],
            "environment": {**self.environment, **(definition.get("environment") or {})},
            "parameter_values": dict(job.get("values") or {}),
            "failure": "silent",
        }
        (place / "context.json").write_text(json.dumps(context))
        command = [*self.prefix, sys.executable, str(TEMPLATE), str(script), str(place / "context.json")]
        limit = definition.get("max_execution_time") or None
        with (folder / CONSOLE).open("wb") as console:
            try:
                code: int | None = subprocess.run(
                    command, cwd=folder, stdout=console, stderr=subprocess.STDOUT, check=False, timeout=limit
                ).returncode
            except subprocess.TimeoutExpired:
                code = None
        values = place / "parameter_values.json"
        outputs = [files[identity] for identity in definition.get("output_file_ids") or []]
        with self.hps.lock:
            if values.is_file():
                job["values"] = json.loads(values.read_text())
            made = [self.collect(project, folder, output, collected) for output in outputs if output.get("collect")]
            made.append(self.collect(project, folder, {"name": "console", "evaluation_path": CONSOLE}, collected))
            task = {
                "id": uuid.uuid4().hex,
                "job_id": job["id"],
                "task_definition_id": definition["id"],
                "trial_number": trial,
                "creation_time": now(),
                "eval_status": "evaluated" if code == 0 else "failed",
                "output_file_ids": [identity for identity in made if identity],
            }
            self.hps.of(project, "tasks")[task["id"]] = task
        criteria = definition.get("success_criteria") or {}
        needed = criteria.get("required_output_file_ids") or []
        whole = all((folder / str(files[identity]["evaluation_path"])).is_file() for identity in needed)
        return ("timeout" if code is None else "failed"), code == 0 and whole

    def stored(self, project: str, file: Table) -> Path:
        return self.hps.storage / project / str(file["storage_id"]).rpartition("/")[2]

    def collect(self, project: str, folder: Path, output: Table, collected: dict[str, Path]) -> str | None:
        source = folder / str(output["evaluation_path"])
        if not source.is_file():
            return None
        if "id" in output:
            collected[output["id"]] = source
        data = source.read_bytes()
        one: dict[str, Any] = {
            **output,
            "id": uuid.uuid4().hex,
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
