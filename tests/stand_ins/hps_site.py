"""A person at a workplace with an HPS, and faults of that HPS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import BIN, Workplace
from tests.stand_ins.hps import Handler, Hps
from tests.stand_ins.hps_evaluator import Evaluator
from tests.stand_ins.nodes import ISOLATED

PASSWORD = "secret of anna"  # noqa: S105 - of nobody


def evaluator(site: Workplace, hps: Hps, **changes: Any) -> Evaluator:
    return Evaluator(
        hps=hps,
        identity=next(iter(hps.evaluators)),
        folder=site.folder / "tasks",
        software=[{"name": "uv", "executable": str(BIN / "uv")}],
        environment={"UV_CACHE_DIR": str(site.folder / "node-cache")},
        prefix=ISOLATED,
        **changes,
    )


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
