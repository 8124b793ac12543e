"""Every command for HPS against servers whose records have more fields, fewer fields or empty fields."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Workplace
from tests.stand_ins.hps import Hps, Table
from tests.stand_ins.hps_evaluator import working
from tests.stand_ins.hps_site import evaluator, submitted

# The fields without which a record says nothing; all others are optional in the models of the client.
NEEDED = {
    "projects": {"id", "name"},
    "jobs": {"id", "eval_status"},
    "tasks": {"id", "job_id", "output_file_ids"},
    "files": {"id", "storage_id", "evaluation_path", "hash", "size"},
    "evaluators": {"id", "name"},
    "compute_resource_sets": {"id", "name"},
    "task_definitions": {"id", "name"},
    "job_definitions": {"id"},
    "parameter_definitions": {"id", "type", "name"},
    "task_definition_templates": {"id"},
    "permissions": {"permission_type", "role"},
    "configuration_updates": set(),
    # Parts of other records.
    "applications": {"name", "version", "install_path", "executable"},
}

# The models of the client accept no null here.
NOT_NULL = {"projects": {"active", "priority"}, "files": {"name"}}


def absent(kind: str, record: Table) -> Table:
    return {key: value for key, value in record.items() if key in NEEDED[kind]}


def null(kind: str, record: Table) -> Table:
    kept = NEEDED[kind] | NOT_NULL.get(kind, set())
    return {key: value if key in kept else None for key, value in record.items()}


def newer(kind: str, record: Table) -> Table:
    del kind
    return {**record, "future": {"a": [1]}, "shutdown_reason": "none", "tags": ["x"]}


def older(kind: str, record: Table) -> Table:
    """Use the names and times of earlier versions: no zone, no milliseconds, `update_time`."""
    if kind == "evaluators":
        record["update_time"] = record.pop("last_modified", None)
        record.pop("shutdown_status", None)
    times = {
        key: str(record[key])[:19]
        for key in ("creation_time", "modification_time")
        if record.get(key)
    }
    return {**record, **times}


REGISTRATION = ("--executable", "/opt/uv/bin/uv", "--uv-version", "0.13.9", "--cache", "/tmp/uv")


@pytest.mark.parametrize("reshape", [absent, null, newer, older])
def test_no_command_needs_more_than_the_client_documents(
    site: Workplace, hps: Hps, publication: Path, reshape: Callable[[str, Table], Table]
) -> None:
    with working(evaluator(site, hps)):
        done = site.run("submit-jobs", publication, "--sweep", "frequency=1,13", "--wait")
    project = done.stdout.strip()
    shutil.rmtree(site.folder / "tasks")
    hps.reshape = reshape
    commands: dict[tuple[Any, ...], int] = {
        ("bundler", "hps", "check", publication): 0,
        ("bundler", "hps", "list"): 0,
        ("bundler", "hps", "show", project): 0,
        ("bundler", "hps", "watch", project): 1,
        ("bundler", "hps", "fetch", project): 0,
        ("bundler", "hps", "retry", project): 0,
        ("bundler", "hps", "abort", project): 0,
        ("bundler", "hps", "register", *REGISTRATION, "--apply", "--yes"): 0,
        ("bundler", "hps", "template", publication, "--name", "a plot"): 0,
        ("bundler", "hps", "delete", project, "--yes"): 0,
    }
    if reshape is newer:
        # Writing the applications back would drop their unknown fields.
        commands.update({("bundler", "hps", "register", *REGISTRATION, "--apply", "--yes"): 1})
    for command, code in commands.items():
        done = site.run(*command)
        assert done.returncode == code, (command, done.stderr)
        # That of the script is indented.
        assert "Traceback" not in {line.split(" ")[0] for line in done.stderr.splitlines()}
        if command[2] == "watch":
            assert "not all jobs succeeded: 1 evaluated, 1 failed" in done.stderr
            assert "the script failed: RuntimeError: unlucky" in done.stderr
    assert submitted(site, publication) in hps.projects
