"""Runs one job of a table on a node of a batch system.

    python3 task.py ROW

The folder of this file contains jobs.json, which describes the jobs. A job has a folder in `jobs/`, and leaves its
state in `states/`. It needs Python 3.8 or newer and the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bundler.node.cache import private_folder, read_json, write_whole
from bundler.node.context import write_context
from bundler.node.errors import (
    ERROR_FILE,
    OfflineRunError,
    explained,
    remove_error_file,
    reserve_error_file,
    store_error,
)
from bundler.node.locks import in_use
from bundler.node.ready import publication_folder, ready_command, settings_for
from bundler.node.running import failure
from bundler.node.task import read_output_parameters, run_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from bundler.node.description import Publication

# <publication>
PUBLICATION: Publication = json.loads("{}")
# </publication>

# The same names as on HPS.
EVALUATED, FAILED, TIMED_OUT, ABORTED = "evaluated", "failed", "timeout", "aborted"
CONSOLE_FILE = "console_output.txt"
# Seconds between the request to end and the end; Slurm grants 30 by default.
MERCY = 5
TYPES_OF_VALUES = {"float": (int, float), "int": (int,), "bool": (bool,), "string": (str,)}


class Ended(Exception):  # noqa: N818 - a state, and no error of the program
    """The job was ended in `state` before its script had finished."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


def main(row: str) -> int:
    """Run the job `row`; return 0 if it succeeded."""
    place = os.path.dirname(os.path.abspath(sys.argv[0]))
    table = read_json(os.path.join(place, "jobs.json"))
    job = table["jobs"][int(row)]
    state_path = os.path.join(place, "states", "{}.json".format(row))
    began = time.time()
    # Written before, so that a job that is killed leaves where it ran.
    note = {"state": "running", "reason": "", "node": platform.node(), "began": began}
    note["job"] = "_".join(
        filter(None, map(os.environ.get, ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")))
    )
    write_whole(state_path, json.dumps(note))

    def on_request(number: int, frame: FrameType | None) -> None:
        del number, frame
        state = state_at_request()
        # Now, since there may be no time later.
        note.update(state=state, seconds=time.time() - began)
        write_whole(state_path, json.dumps(note, default=str))
        raise Ended(state)

    signal.signal(signal.SIGTERM, on_request)
    folder = os.path.join(place, "jobs", job["name"])
    values: dict[str, Any] = dict(job["values"])
    try:
        prepare_folder(place, table, job, folder)
        for step in table["steps"]:
            run_step(table, step, values, folder)
        reason = unmet(table, values, folder)
        note.update(state=FAILED if reason else EVALUATED, reason=reason)
    except Ended as ended:
        note.update(state=ended.state, reason="")
    except OfflineRunError as error:
        problem, _, hint = str(error).partition("\nhint: ")
        note.update(state=FAILED, reason=problem.partition(": ")[2].split("\n")[0], hint=hint)
    except Exception as error:  # Whatever it is, the job has a reason.
        note.update(state=FAILED, reason="{}: {}".format(type(error).__name__, error))
    note.update(values=values, seconds=time.time() - began)
    write_whole(state_path, json.dumps(note, default=str))
    return 0 if note["state"] == EVALUATED else 1


def state_at_request() -> str:
    """Return the state of a job whose batch system asks it to end: at its time limit, or because a user does."""
    limit = float(os.environ.get("SLURM_JOB_END_TIME") or 0)
    is_late = limit and time.time() >= limit - MERCY
    return TIMED_OUT if is_late else ABORTED


def prepare_folder(place: str, table: Any, job: Any, folder: str) -> None:
    """Create the empty folder of `job` with its input files; what an attempt before left is removed."""
    for base, _, _ in os.walk(folder):
        os.chmod(base, 0o700)  # A script may have left folders that nobody can write to.
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    os.makedirs(folder)
    for name, stored in dict(table["files"], **job["files"]).items():
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join(place, "inputs", stored), target)


def run_step(table: Any, step: Any, values: dict[str, Any], folder: str) -> None:
    """Run a step in `folder`; update `values` with its output parameters. Raises `OfflineRunError`, `Ended`."""
    os.chdir(folder)
    home = folder
    if len(table["steps"]) > 1:
        home = os.path.join(folder, step["name"])
        os.makedirs(home, exist_ok=True)
    reserve_error_file(home)
    try:
        write_parameters_of(step, values)
        run_script(step, os.path.join(home, CONSOLE_FILE))
    except Exception as error:
        reason = explained(error, folder)
        if not isinstance(error, Ended):
            store_error(home, reason)
        with contextlib.suppress(OfflineRunError):
            values.update(read_output_parameters())
        raise reason from error
    values.update(read_output_parameters())
    remove_error_file(home)


def write_parameters_of(step: Any, values: Mapping[str, Any]) -> None:
    """Write input_parameters.json and context.json, as on HPS."""
    requirements = {
        "num_cores": step["cores"],
        "memory": step["memory"],
        "disk_space": step["disk"],
    }
    context = SimpleNamespace(
        parameter_values=dict(values),
        resource_requirements=requirements,
        execution_context=step["execution_context"],
        software=[],
        input_files=[{"name": name, "path": name} for name in step["inputs"]],
        output_files=[{"name": name, "path": name} for name in step["outputs"]],
    )
    with contextlib.suppress(FileNotFoundError):
        os.remove("output_parameters.json")
    write_context(context, resources=step["job_resources"], nulls=step["nulls"])


def run_script(step: Any, console: str) -> None:
    """Run the script of `step` with its output in the file `console`. Raises `OfflineRunError`, `Ended`."""
    root = publication_folder(PUBLICATION)
    given = dict(step["environment"])
    if not os.environ.get("UV_CACHE_DIR"):
        # Batch systems give each job a temporary folder of its own, which would make every start a cold one.
        folder = "/tmp/bundler-uv-cache-{}"  # noqa: S108 - refused unless it belongs to this user alone
        given.setdefault("UV_CACHE_DIR", private_folder(folder.format(os.getuid())))
    environment = run_environment(os.environ, given, os.getcwd())
    state = os.path.join(environment["UV_CACHE_DIR"], "bundler")
    command, python = ready_command(PUBLICATION, root, step["script"], environment, state)
    arguments = [python, command.script, *step["arguments"]]
    with in_use(state), open(console, "wb") as out:
        process = subprocess.Popen(
            arguments,
            env=settings_for(command, python),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(step["timeout"] or None)
        except subprocess.TimeoutExpired:
            raise Ended(TIMED_OUT) from None
        finally:
            end(process)
    if code:
        # As a shell counts signals.
        raise failure(str(128 - code if code < 0 else code))


def end(process: subprocess.Popen[bytes]) -> None:
    """End `process` and what it started, gently and then for good."""
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(MERCY)
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def unmet(table: Any, values: Mapping[str, Any], folder: str) -> str:
    """Return which outputs a job did not leave, "" if none is missing."""
    problems = []
    for step in table["steps"]:
        for name in step["required"]:
            if not any(matching(folder, name)):
                problems.append("no output file {}".format(name))
    for name, kind in table["output_parameters"].items():
        value = values.get(name)
        if value is None:
            problems.append("no output parameter {}".format(name))
        elif not isinstance(value, TYPES_OF_VALUES[kind]) or isinstance(value, bool) != (
            kind == "bool"
        ):
            problems.append(
                "the output parameter {} is not of type {} ({})".format(name, kind, value)
            )
    return "; ".join(problems)


def matching(folder: str, name: str) -> list[str]:
    """Return the files in `folder` that `name`, which may have wildcards, stands for."""
    paths = pathlib.Path(folder).glob(name.replace("**", "**/*"))
    return [
        str(path)
        for path in paths
        if path.is_file() and not path.is_symlink() and path.name != ERROR_FILE
    ]


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1]))
