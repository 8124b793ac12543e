"""A person at a workplace with an HPS, and faults of that HPS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xxhash

from bundler.jobs.table import CONSOLE
from bundler.node.errors import ERROR_FILE
from tests.conftest import BIN, Workplace
from tests.stand_ins.hps import Handler, Hps, now
from tests.stand_ins.hps_evaluator import Evaluator
from tests.stand_ins.nodes import ISOLATED

PASSWORD = "secret of anna"  # noqa: S105 - of nobody


def evaluator(site: Workplace, hps: Hps, **changes: Any) -> Evaluator:
    settings: dict[str, Any] = {
        "hps": hps,
        "identity": next(iter(hps.evaluators)),
        "folder": site.folder / "tasks",
        "software": [{"name": "uv", "executable": str(BIN / "uv")}],
        "environment": {"UV_CACHE_DIR": str(site.folder / "node-cache")},
        "prefix": ISOLATED,
    }
    return Evaluator(**{**settings, **changes})


def submitted(site: Workplace, *arguments: str | Path) -> str:
    done = site.run("submit-jobs", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def jobs_of(hps: Hps, project: str) -> list[dict[str, Any]]:
    return list(hps.of(project, "jobs").values())


def refuse(status: int, description: str = "no reason") -> Any:
    def fault(handler: Handler) -> bool:
        handler.send(status, {"title": "Refused", "description": description})
        return True

    return fault


def once(fault: Any) -> Any:
    left = [True]
    return lambda handler: bool(left) and left.pop() and fault(handler)


def failed_job(
    hps: Hps, project: str, name: str, error: str, console: str = ""
) -> tuple[str, str, str]:
    """Let the job `name` of `project` fail with an error file and console output; return its ID, name and state."""
    (job,) = [job for job in hps.of(project, "jobs").values() if job["name"] == name]
    job["eval_status"] = "failed"
    outputs = []
    for path, text in ((ERROR_FILE, error), (CONSOLE, console)):
        identity = f"{name}-{path}"
        data = text.encode()
        target = hps.storage / project / identity
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        record: dict[str, Any] = {"id": identity, "name": path, "evaluation_path": path}
        record |= {
            "storage_id": f"bucket/{identity}",
            "hash": xxhash.xxh64(data).hexdigest(),
            "size": len(data),
        }
        hps.of(project, "files")[identity] = record if text else {**record, "hash": None}
        outputs.append(identity)
    task = {
        "id": f"task of {name}",
        "job_id": job["id"],
        "task_definition_id": "1",
        "output_file_ids": outputs,
    }
    hps.of(project, "tasks")[task["id"]] = {**task, "trial_number": 0, "creation_time": now()}
    return job["id"], name, "failed"
