"""Submitting jobs to HPS and asking how they fare, against the way of the public example, in turn in one run.

    python -m tests.benchmarks.jobs [ROUNDS]

The server is the stand-in of the tests, on loopback, so seconds are those of the client and of a fast server; requests
and bytes are what any server would see.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.stand_ins.hps import Hps, now, serving
from tests.stand_ins.hps_site import failed_job
from tests.stand_ins.wheels import make_wheel

BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
COUNTS = (1, 100, 10_000)
# What the public example does, less its output; it would take any certificate, too.
EXAMPLE = """
import sys
from ansys.hps.client import Client
from ansys.hps.client.jms import *
url, script, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = Client(url, "anna", "secret of anna", verify=False)
jms = JmsApi(client)
project = jms.create_project(Project(name=f"example {count}", priority=1, active=True), replace=True)
api = ProjectApi(client, project.id)
files = api.create_files([
    File(name="eval", evaluation_path="eval.py", type="text/plain", src=script),
    File(name="exec", evaluation_path="exec_script.py", type="text/plain", src=script),
    File(name="plot", evaluation_path="plot.png", type="image/png", collect=True),
])
ids = {file.name: file.id for file in files}
(task,) = api.create_task_definitions([TaskDefinition(
    name="plot", software_requirements=[Software(name="uv")], execution_command=None, use_execution_script=True,
    execution_script_id=ids["exec"], input_file_ids=[ids["eval"]], output_file_ids=[ids["plot"]],
    resource_requirements=ResourceRequirements(num_cores=0.5, memory=100_000_000),
    success_criteria=SuccessCriteria(return_code=0, require_all_output_files=True),
)])
(definition,) = api.create_job_definitions([JobDefinition(name="d", active=True, task_definition_ids=[task.id])])
jobs = [Job(name=f"Job.{n}", values={}, eval_status="pending", job_definition_id=definition.id) for n in range(count)]
api.create_jobs(jobs)
print(project.id)
"""
POLL = """
import resource, sys, time
from bundler.hps.connection import Account, connected
from bundler.hps.watch import watch
from ansys.hps.client.jms import ProjectApi
url, project, way = sys.argv[1:]
with connected(Account(url=url, username="anna", password="secret of anna")) as client:
    statuses = watch(client, project, 0.0)
    next(statuses)
    api = ProjectApi(client, project)
    print("READY", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    if way == "ours":
        next(statuses)
    else:
        api.get_jobs()
    print(time.perf_counter() - started, flush=True)
"""


def run(command: list[str], environment: dict[str, str]) -> tuple[float, int, str]:
    """Run `command`; return wall seconds, its peak memory in kB, and its output."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out = process.stdout.read() if process.stdout else ""
        err = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(err)
    return time.perf_counter() - started, usage.ru_maxrss, out.strip()


def poll(hps: Hps, project: str, way: str, environment: dict[str, str]) -> tuple[float, int, int]:
    """Ask once after ten of the jobs changed; return seconds, requests and bytes."""
    command = [sys.executable, "-c", POLL, hps.url, project, way]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise SystemExit("no pipes")
        process.stdout.readline()
        time.sleep(0.05)
        for job in list(hps.of(project, "jobs").values())[:10]:
            job.update(eval_status="running", modification_time=now())
        requests, sent = hps.requests.total(), hps.sent
        process.stdin.write("go\n")
        process.stdin.flush()
        seconds = float(process.stdout.readline())
        return seconds, hps.requests.total() - requests, hps.sent - sent


def main() -> None:
    """Submit and poll, and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        (folder / "home").mkdir()
        kept = {
            name: text
            for name, text in os.environ.items()
            if "CA_BUNDLE" not in name and not name.startswith("UV_")
        }
        environment = {
            **kept,
            "HOME": str(folder / "home"),
            "HPS_USERNAME": "anna",
            "HPS_PASSWORD": "secret of anna",
        }
        (folder / "wheels").mkdir()
        name, data = make_wheel("alpha")
        (folder / "wheels" / name).write_bytes(data)
        (folder / "eval.py").write_text(
            '# /// script\n# dependencies = ["alpha"]\n# [tool.uv]\n# no-index = true\n'
            f'# find-links = ["{folder}/wheels"]\n# ///\n'
        )
        bundle = [
            str(BIN / "bundle"),
            str(folder / "eval.py"),
            "-o",
            str(folder / "x.bundle"),
            "--python",
            PYTHON,
        ]
        run(bundle, environment)
        _, _, publication = run(
            [str(BIN / "publish-index"), str(folder / "share"), str(folder / "x.bundle")],
            environment,
        )
        with serving(Hps(storage=folder / "storage")) as hps:
            environment["HPS_URL"] = hps.url
            print(f"\nSubmitting jobs, whole command, median of {rounds}")
            big = ""
            for count in COUNTS:
                rows: dict[str, list[tuple[float, int]]] = {}
                requests = {}
                for _ in range(rounds):
                    for identity in list(hps.evaluators):
                        del hps.evaluators[identity], hps.configurations[identity]
                    hps.register("node")
                    ways = {
                        "submit-jobs": [str(BIN / "submit-jobs"), publication, "-j", str(count)],
                        "public example": [
                            sys.executable,
                            "-c",
                            EXAMPLE,
                            hps.url,
                            str(folder / "eval.py"),
                            str(count),
                        ],
                    }
                    for way, command in ways.items():
                        before = hps.requests.total()
                        hps.projects.clear()
                        seconds, memory, project = run(command, environment)
                        rows.setdefault(way, []).append((seconds, memory))
                        requests[way] = hps.requests.total() - before
                        big = project
                for way, found in rows.items():
                    seconds = statistics.median(each[0] for each in found)
                    memory = max(each[1] for each in found) // 1000
                    about = f"{seconds:7.2f} s  {requests[way]:3} requests  {memory:3} MB at most"
                    print(f"  {count:6} jobs  {way:16} {about}")
            print(f"\nOne question at {COUNTS[-1]} jobs of which ten changed, median of {rounds}")
            for way in ("ours", "get_jobs()"):
                polls = [poll(hps, big, way, environment) for _ in range(rounds)]
                seconds = statistics.median(each[0] for each in polls)
                print(
                    f"  {way:16} {seconds * 1000:8.1f} ms  {polls[0][1]} requests  {polls[0][2] / 1e3:9.1f} kB"
                )
            print("\nOne command")
            fetch = [str(BIN / "bundler"), "hps", "fetch", big, "-o", str(folder / "results")]
            measure(hps, f"fetch of {COUNTS[-1]} jobs without files", fetch, environment)
            submit = [str(BIN / "submit-jobs"), publication, "-j", "200"]
            _, _, project = run(submit, environment)
            for job in list(hps.of(project, "jobs").values()):
                failed_job(
                    hps,
                    project,
                    job["name"],
                    "node n1: uv finds no Python\nhint: install one\n",
                    "a line\n",
                )
            measure(
                hps,
                "show of 200 failures",
                [str(BIN / "bundler"), "hps", "show", project],
                environment,
            )


def measure(hps: Hps, text: str, command: list[str], environment: dict[str, str]) -> None:
    """Run `command` and print its seconds, requests and bytes."""
    requests, sent = hps.requests.total(), hps.sent
    seconds, memory, _ = run(command, environment)
    counts = f"{hps.requests.total() - requests:3} requests  {(hps.sent - sent) / 1e3:7.1f} kB"
    print(f"  {text:36} {seconds:5.2f} s  {counts}  {memory // 1000} MB at most")


if __name__ == "__main__":
    main()
