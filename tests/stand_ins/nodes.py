"""Nodes without network, and what is published for them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conftest import BIN, Workplace
from tests.stand_ins.wheels import make_wheel

EVALUATOR = Path(__file__).parents[2] / "bundler" / "templates" / "evaluator.py"


def allowed(*command: str) -> bool:
    """Return whether this system has the command and lets it do its work."""
    return (
        bool(shutil.which(command[0]))
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


ISOLATED = ["unshare", "-rn"] if allowed("unshare", "-rn", "true") else []
MOUNTS = allowed("unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt")
STRATEGIES = ["index", "cache", "environment"]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def published(
    workplace: Workplace, body: str = "import alpha\nprint('got', alpha.version)\n"
) -> Path:
    """Bundle and publish a script that needs `alpha`, which needs `beta`; return the publication."""
    workplace.index.add(
        make_wheel("alpha", requires=["beta>=1", "colors; sys_platform == 'win32'"])
    )
    workplace.index.add(make_wheel("beta", "1.5"))
    workplace.index.add(make_wheel("colors"))
    workplace.script("solve.py", "alpha", body=body)
    workplace.bundle("solve.py")
    return workplace.publish()


def evaluate(
    workplace: Workplace,
    publication: Path,
    *,
    files: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
    owner: int | None = None,
    evaluator: Sequence[str | Path] = (sys.executable, EVALUATOR),
    **context: Any,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run the execution script on a node without network; return the finished process and the parameter values.

    `files` are the input files of the task, `prefix` goes before the command of the evaluator, `owner` is whose
    the task folder is, `evaluator` is a Python and what it runs.
    """
    place = workplace.folder / f"job-{uuid.uuid4().hex}"
    task = place / "task"
    task.mkdir(parents=True)
    for name, text in (files or {}).items():
        (task / name).write_text(text)
    tables = {
        "software": [{"name": "Uv", "executable": str(BIN / "uv")}],
        "environment": {"UV_CACHE_DIR": str(workplace.folder / "node-cache")},
        "parameter_values": {},
        "failure": "silent",
        **context,
    }
    where = place / "context.json"
    where.write_text(json.dumps(tables))
    if owner is not None:
        for path in (place, task):
            os.chown(path, owner, owner)
    # In a namespace of root's alone nobody could become another user.
    isolated = ISOLATED if owner is None else ["unshare", "-n"][: len(ISOLATED)]
    command: list[str | Path] = [
        *isolated,
        *prefix,
        *evaluator,
        publication / "exec_script.py",
        where,
    ]
    done = workplace.run(*command, cwd=task)
    values = place / "parameter_values.json"
    return done, json.loads(values.read_text()) if values.exists() else {}


def uv_wheel(version: str, uv: Path) -> tuple[str, bytes]:
    """Return a wheel of uv in which uv is a script that starts the real one: as real, and 50 MB smaller."""
    script = f'#!/bin/sh\nexec {shlex.quote(str(uv))} "$@"\n'.encode()
    return make_wheel("uv", version, files={f"uv-{version}.data/scripts/uv": script})


def with_bundle(workplace: Workplace, mirror: Path, uv: Path) -> Workplace:
    """Make a bundle of a script that needs `alpha` and `beta`, with `uv` and Python in it; return the workplace."""
    version = workplace.run("uv", "--version").stdout.split()[1]
    workplace.index.add(uv_wheel(version, uv))
    workplace.index.add(make_wheel("alpha", requires=["beta>=1"]))
    workplace.index.add(
        make_wheel(
            "beta", "1.5", files={"beta.py": b"version = '1.5'\n", "big.bin": bytes(200_000)}
        )
    )
    workplace.script(
        "solve.py",
        "alpha",
        body="print('first line')\nimport sys, alpha, beta\nprint('got', beta.version, sys.prefix)\n",
    )
    workplace.bundle("solve.py", "--include-uv", "--python-mirror", mirror)
    return workplace


def publish(workplace: Workplace, strategy: str) -> Path:
    done = workplace.run("publish-index", "share", "--strategy", strategy)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def bare(workplace: Workplace) -> Workplace:
    """Return the workplace as a node that has nothing: no uv, no Python, nothing on the PATH but a shell."""
    folder = workplace.folder / "bare-bin"
    folder.mkdir(exist_ok=True)
    for name in ("sh", "unshare"):
        found = shutil.which(name)
        if found and not (folder / name).exists():
            (folder / name).symlink_to(found)
    return Workplace(
        workplace.folder, workplace.index, {**workplace.environment, "PATH": str(folder)}
    )
