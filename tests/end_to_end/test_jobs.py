"""Jobs on HPS: the real client against a stand-in, whose evaluator really runs what was published, with no network."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins import hps as stand_in
from tests.stand_ins.hps import Handler, Hps, now
from tests.stand_ins.hps_evaluator import working
from tests.stand_ins.hps_site import evaluator, jobs_of, once, refuse, submitted
from tests.stand_ins.nodes import published
from tests.stand_ins.programs import python_program
from tests.stand_ins.signers import allow, make_key


def test_ten_jobs_of_a_sweep_are_submitted_run_offline_watched_and_fetched(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    assert site.run("bundler", "hps", "check", publication).returncode == 0
    project = submitted(site, publication, "--sweep", "frequency=0.5:5:0.5", "--name", "a sweep")
    assert hps.projects[project]["active"] is True
    assert hps.projects[project]["name"] == "a sweep"
    with working(evaluator(site, hps)):
        done = site.run("bundler", "hps", "watch", project, "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    assert "10 evaluated" in done.stderr
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "results/results.csv\n"
    with (site.folder / "results" / "results.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [float(row["frequency"]) for row in rows] == [0.5 * number for number in range(1, 11)]
    assert [float(row["maximum"]) for row in rows] == [1.0 * number for number in range(1, 11)]
    for row in rows:
        plot = site.folder / "results" / row["job"] / "plot.txt"
        assert plot.read_text() == "x" * int(float(row["frequency"]) * 10)
        console = (site.folder / "results" / row["job"] / "console_output.txt").read_text()
        assert f"frequency is {row['frequency']}" in console
    before = hps.requests.copy()
    assert site.run("bundler", "hps", "fetch", project, "-o", "results").returncode == 0
    assert not [path for path in (hps.requests - before) if "/storage/" in path], (
        "all was there already"
    )


def test_a_project_has_what_the_script_says_of_its_jobs(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    project = submitted(
        site,
        publication,
        "--memory",
        "512 MB",
        "--cores",
        "2",
        "--environment",
        "OMP_NUM_THREADS=2",
    )
    (task,) = hps.of(project, "task_definitions").values()
    assert task["max_execution_time"] == 60
    assert task["software_requirements"] == [{"name": "uv"}]
    assert task["environment"] == {"OMP_NUM_THREADS": "2"}
    wanted = task["resource_requirements"]
    assert (wanted["platform"], wanted["memory"], wanted["num_cores"]) == ("linux", 512_000_000, 2)
    assert wanted["disk_space"] > 64 << 20
    files = hps.of(project, "files")
    assert (
        files[task["success_criteria"]["required_output_file_ids"][0]]["evaluation_path"]
        == "plot.txt"
    )
    (sent,) = [file for file in files.values() if file["name"] == "exec_script.py"]
    assert (hps.storage / project / sent["id"]).read_bytes() == (
        publication / "exec_script.py"
    ).read_bytes()
    parameters = {each["name"]: each for each in hps.of(project, "parameter_definitions").values()}
    assert (parameters["frequency"]["type"], parameters["frequency"]["upper_limit"]) == (
        "float",
        100,
    )
    assert parameters["maximum"]["mode"] == "output"
    (job,) = jobs_of(hps, project)
    assert (job["eval_status"], job["values"]) == ("pending", {"frequency": 1.0})


def test_a_failing_job_shows_its_last_lines_and_may_be_tried_again(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    (site.folder / "values.csv").write_text("frequency\n1\n13\n")
    with working(evaluator(site, hps)):
        done = site.run("submit-jobs", publication, "--params", "values.csv", "--wait")
        project = done.stdout.strip()
        assert done.returncode == 1
        assert "job-2 failed: the script failed: RuntimeError: unlucky (node " in done.stderr
        assert "  last lines of the console output of job-2:\n" in done.stderr
        assert "unlucky" in done.stderr
        assert "error: not all jobs succeeded: 1 evaluated, 1 failed\n" in done.stderr
        (bad,) = [job for job in jobs_of(hps, project) if job["eval_status"] == "failed"]
        bad["values"] = {"frequency": 3.0}
        done = site.run("bundler", "hps", "watch", project, "--json")
        assert done.returncode == 1
        document = {"project": project, "jobs": {"evaluated": 1, "failed": 1}}
        assert json.loads(done.stdout) == document
        done = site.run("bundler", "hps", "retry", project, "--wait")
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_several_scripts_are_steps_that_pass_files_on(site: Workplace, hps: Hps) -> None:
    mesh = "open('mesh.txt', 'w').write('fine ' + open('data/geometry.txt').read())\n"
    solve = "open('result.txt', 'w').write(open('mesh.txt').read() + ' solved')\n"
    for name, body, block in (
        ("mesh.py", mesh, 'inputs = ["data/geometry.txt"]\noutputs = ["mesh.txt"]'),
        ("solve.py", solve, 'inputs = ["mesh.txt"]\noutputs = ["result.txt"]'),
    ):
        path = site.script(name, body=body)
        lines = "".join(f"# {line}\n" for line in f"[tool.bundler]\n{block}".splitlines())
        path.write_text(path.read_text().replace("# ///\n" + body, f"{lines}# ///\n{body}"))
    site.bundle("mesh.py", "solve.py", "-o", "steps.bundle")
    publication = site.publish("steps.bundle")
    done = site.run("submit-jobs", publication)
    assert done.returncode == 1
    assert "mesh.py needs data/geometry.txt\nhint: give them with --input" in done.stderr
    (site.folder / "geometry.txt").write_text("beam")
    with working(evaluator(site, hps)):
        project = submitted(site, publication, "--input", "geometry.txt", "--wait")
    levels = {
        task["name"]: task["execution_level"]
        for task in hps.of(project, "task_definitions").values()
    }
    assert levels == {"mesh.py": 0, "solve.py": 1}
    assert site.run("bundler", "hps", "fetch", project, "-o", "results").returncode == 0
    assert (site.folder / "results" / "job-1" / "result.txt").read_text() == "fine beam solved"


@pytest.mark.parametrize("has_analyze", [True, False])
def test_an_application_of_another_name_is_told_before_anything_is_submitted(
    site: Workplace, hps: Hps, publication: Path, has_analyze: bool
) -> None:
    hps.has_analyze = has_analyze
    for configuration in hps.configurations.values():
        configuration["applications"][0]["name"] = "Uv"
    done = site.run("submit-jobs", publication)
    assert done.returncode == 1
    assert "has 'uv' on linux" in done.stderr
    assert ", so the jobs would stay pending forever" in done.stderr
    assert "evaluator node-1 (linux): no uv; applications: Uv 0.6.14" in done.stderr
    assert "use --application Uv" in done.stderr
    assert not hps.projects
    with working(evaluator(site, hps)):
        submitted(site, publication, "--application", "Uv", "--wait")
    project = submitted(site, publication, "--force")
    assert hps.projects[project]["active"]


def test_a_server_to_which_case_does_not_matter_decides_itself(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    hps.exact_names = False
    for configuration in hps.configurations.values():
        configuration["applications"][0]["name"] = "Uv"
    with working(evaluator(site, hps)):
        submitted(site, publication, "--wait")
    hps.has_analyze = False
    assert "use --application Uv" in site.run("bundler", "hps", "check", publication).stderr


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    def fall_silent(_: Handler) -> bool:
        time.sleep(4)
        return False

    site.environment["HPS_TIMEOUT"] = "1"
    for method, pattern in (("GET", "/jms/api/v1"), ("POST", ".*/task_definitions")):
        hps.faults = {(method, pattern): fall_silent}
        done = site.run("submit-jobs", publication)
        assert done.returncode == 1
        assert "did not answer within 1 s" in done.stderr
    assert not hps.projects


def test_a_transfer_that_stands_still_is_given_up(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    def stand_still(_: Handler) -> bool:
        time.sleep(6)
        return False

    site.environment["HPS_TIMEOUT"] = "2"
    hps.faults["PUT", "/dt/api/v1/storage/.*"] = stand_still
    done = site.run("submit-jobs", publication)
    assert done.returncode == 1
    assert "the upload of 1 file made no progress for 2 s" in done.stderr
    assert not hps.projects


def test_a_project_whose_creation_was_not_answered_is_found_and_deleted(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    def create_and_fall_silent(handler: Handler) -> bool:
        handler.wfile = io.BytesIO()
        handler.create_project()
        time.sleep(3)
        handler.close_connection = True
        return True

    site.environment["HPS_TIMEOUT"] = "1"
    hps.faults["POST", "/jms/api/v1/projects"] = create_and_fall_silent
    done = site.run("submit-jobs", publication)
    assert done.returncode == 1
    assert not hps.projects


def test_a_failed_replacement_costs_nothing(site: Workplace, hps: Hps, publication: Path) -> None:
    old = submitted(site, publication, "--name", "mine")
    hps.faults["PUT", "/dt/api/v1/storage/.*"] = refuse(500)
    assert site.run("submit-jobs", publication, "--name", "mine", "--replace").returncode == 1
    assert list(hps.projects) == [old]


def test_results_are_those_of_the_last_run_of_a_job(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    (site.folder / "values.json").write_text('[{"frequency": 13}, {"frequency": 1}]')
    with working(evaluator(site, hps)):
        done = site.run(
            "submit-jobs", publication, "--params", "values.json", "--trials", "2", "--wait"
        )
        project = done.stdout.strip()
        (bad,) = [job for job in jobs_of(hps, project) if job["eval_status"] == "failed"]
        bad["values"] = {"frequency": 3.0}
        assert site.run("bundler", "hps", "retry", project, "--wait").returncode == 0
    assert site.run("bundler", "hps", "fetch", project, "-o", "results").returncode == 0
    assert (
        "unlucky" not in (site.folder / "results" / bad["name"] / "console_output.txt").read_text()
    )
    assert (site.folder / "results" / bad["name"] / "plot.txt").read_text() == "x" * 30


def test_the_reason_of_a_failure_is_never_that_of_an_earlier_attempt(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    (site.folder / "values.json").write_text('[{"frequency": 13}]')
    with working(evaluator(site, hps)):
        done = site.run("submit-jobs", publication, "--params", "values.json", "--wait")
    project = done.stdout.strip()

    def reason() -> str:
        done = site.run("bundler", "hps", "fetch", project, "-o", "results")
        assert done.returncode == 0, done.stderr
        with (site.folder / "results" / "results.csv").open(newline="") as table:
            (row,) = csv.DictReader(table)
        return row["reason"]

    assert reason().startswith("the script failed: RuntimeError: unlucky (node ")
    # The second attempt ends without a file that says why, as after a loss of power.
    (task,) = hps.of(project, "tasks").values()
    again = {**task, "id": "again", "output_file_ids": [], "creation_time": now()}
    hps.of(project, "tasks")["again"] = again
    assert reason() == "no output file plot.txt; no output parameter maximum"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("write('output_parameters.json', '{\"maximum\": 1.0}')", "no output file plot.txt"),
        ("write('plot.txt', '')", "no output parameter maximum"),
        ("pass", "no output file plot.txt; no output parameter maximum"),
    ],
)
def test_a_job_that_leaves_less_than_it_must_says_what_is_missing(
    site: Workplace, hps: Hps, body: str, reason: str
) -> None:
    path = site.script(
        "eval.py", body=f"write = lambda name, text: open(name, 'w').write(text)\n{body}\n"
    )
    block = "# [tool.bundler]\n# outputs = ['plot.txt']\n# output-parameters = ['maximum']\n"
    path.write_text(path.read_text().replace("# ///\nwrite", f"{block}# ///\nwrite"))
    site.bundle("eval.py")
    with working(evaluator(site, hps)):
        done = site.run("submit-jobs", site.publish("eval.bundle"), "--wait")
    assert done.returncode == 1
    assert f"job-1 failed: {reason}\n" in done.stderr
    site.run("bundler", "hps", "fetch", done.stdout.strip(), "-o", "results")
    with (site.folder / "results" / "results.csv").open(newline="") as table:
        assert [row["reason"] for row in csv.DictReader(table)] == [reason]


def test_jobs_that_are_deleted_or_in_no_known_state_are_no_success(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    project = submitted(site, publication, "-j", "2")
    first, second = jobs_of(hps, project)
    first["eval_status"] = "evaluated"
    watching = threading.Timer(2, lambda: hps.of(project, "jobs").pop(second["id"]))
    watching.start()
    done = site.run("bundler", "hps", "watch", project, "--interval", "0.1")
    assert done.returncode == 0, done.stderr
    hps.of(project, "jobs").clear()
    done = site.run("bundler", "hps", "watch", project)
    assert done.returncode == 1
    assert "has no jobs" in done.stderr


@pytest.mark.parametrize(
    ("method", "pattern", "answer", "command"),
    [
        ("GET", ".*/jobs", {"jobs": None}, "watch"),
        ("GET", ".*/jobs", {"jobs": [{"eval_status": "failed"}]}, "watch"),
        (
            "GET",
            ".*/jobs",
            {"jobs": [{"id": "1", "eval_status": "failed", "values": [1]}]},
            "fetch",
        ),
        ("GET", ".*/tasks", {"tasks": [{"job_id": 3, "output_file_ids": 7}]}, "fetch"),
        ("GET", "/rms/api/v1/evaluators", {"evaluators": ["x"]}, "check"),
        ("POST", "/rms/api/v1/analyze", [], "check"),
        ("GET", "/rms/api/v1/compute_resource_sets", {}, "check"),
        ("POST", ".*/files", {"files": []}, "submit"),
        ("POST", ".*/parameter_definitions", {"parameter_definitions": [{}]}, "submit"),
    ],
)
def test_whatever_a_server_answers_is_told_in_a_sentence(
    site: Workplace,
    hps: Hps,
    publication: Path,
    method: str,
    pattern: str,
    answer: Any,
    command: str,
) -> None:
    project = submitted(site, publication)

    def fault(handler: Handler) -> bool:
        handler.send(200, answer)
        return True

    hps.faults[method, pattern] = fault
    commands: dict[str, list[str | Path]] = {
        "watch": ["bundler", "hps", "watch", project],
        "fetch": ["bundler", "hps", "fetch", project],
        "check": ["bundler", "hps", "check", publication],
        "submit": ["submit-jobs", publication],
    }
    done = site.run(*commands[command])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "does not answer like HPS" in done.stderr
    assert list(hps.projects) == [project]


def test_without_rights_to_look_jobs_are_submitted_all_the_same(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    hps.faults["GET", "/rms/api/v1/evaluators/.*/configuration"] = refuse(403)
    hps.faults["POST", "/rms/api/v1/analyze"] = refuse(403)
    assert submitted(site, publication)
    hps.faults["GET", "/rms/api/v1/evaluators"] = refuse(403)
    done = site.run("submit-jobs", publication)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: ")
    assert "does not allow this user" in done.stderr
    hps.faults["GET", "/rms/api/v1/evaluators"] = refuse(500)
    assert site.run("submit-jobs", publication).returncode == 1


def test_a_worker_that_is_late_leaves_no_orphan(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    late = "import time\ntime.sleep(9)\n"
    hps.worker = python_program(late + stand_in.WORKER.read_text()).encode()
    done = site.run("submit-jobs", publication)
    assert "the transfer worker does not start" in done.stderr
    time.sleep(0.5)
    running = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert str(site.environment["HOME"]) not in running


def test_evaluators_of_another_platform_dead_or_without_rights_do_not_count(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    identity = next(iter(hps.evaluators))
    hps.evaluators[identity]["platform"] = "windows"
    assert "no evaluator or compute" in site.run("bundler", "hps", "check", publication).stderr
    hps.evaluators[identity].update(platform="linux", last_modified=stand_in.stale(3600))
    assert (
        "hint: start an evaluator; none is running"
        in site.run("bundler", "hps", "check", publication).stderr
    )
    hps.resource_sets.append(
        {
            "id": "crs",
            "name": "cluster",
            "available_resources": {"platform": "linux"},
            "available_applications": [{"name": "uv", "version": "0.6.14"}],
        }
    )
    done = site.run("bundler", "hps", "check", publication)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "compute resource set\tcluster\tlinux\tuv 0.6.14\n"


def test_more_evaluators_than_a_server_tells_by_itself_are_asked(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    for configuration in hps.configurations.values():
        configuration["applications"] = []
    for number in range(2, 20):
        hps.register(f"node-{number}", application="uv" if number == 19 else None)
    done = site.run("bundler", "hps", "check", publication)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 19


def test_an_hps_project_of_the_same_name_is_replaced_only_when_asked(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    first = submitted(site, publication, "--name", "mine")
    done = site.run("submit-jobs", publication, "--name", "mine")
    assert done.returncode == 1
    assert f"already exists ({first})" in done.stderr
    second = submitted(site, publication, "--name", "mine", "--replace")
    assert list(hps.projects) == [second]


@pytest.mark.parametrize(
    ("method", "pattern", "words"),
    [
        ("POST", ".*/jobs", "failed (500 no reason)"),
        ("POST", ".*/task_definitions", "failed (500 no reason)"),
        ("POST", ".*/files", "failed (500 no reason)"),
        ("PUT", "/dt/api/v1/storage/.*", "the upload of 1 file failed"),
        ("GET", "/dt/api/v1/metadata/.*", "the check of the uploaded files failed"),
    ],
)
def test_nothing_half_made_stays_when_submitting_fails(
    site: Workplace, hps: Hps, publication: Path, method: str, pattern: str, words: str
) -> None:
    hps.faults[method, pattern] = refuse(500)
    done = site.run("submit-jobs", publication)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not hps.projects


def test_an_upload_that_arrives_changed_is_noticed(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    def change(handler: Handler) -> bool:
        handler.body += b"\n"
        return False

    hps.faults["PUT", "/dt/api/v1/storage/.*"] = change
    done = site.run("submit-jobs", publication)
    assert "exec_script.py was damaged while it was uploaded" in done.stderr
    assert not hps.projects


def test_an_interrupt_leaves_no_project_and_no_worker(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    reached = threading.Event()

    def stall(_: Handler) -> bool:
        reached.set()
        time.sleep(3)
        return False

    hps.faults["POST", ".*/task_definitions"] = stall
    with site.started("submit-jobs", publication) as process:
        assert reached.wait(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not hps.projects
    time.sleep(0.5)
    running = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert str(site.environment["HOME"]) not in running


def test_what_hps_refuses_or_fails_at_is_a_sentence(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    done = site.run("submit-jobs", publication, HPS_PASSWORD="wrong")  # noqa: S106 - of nobody
    assert (done.returncode, done.stdout) == (1, "")
    assert "rejected the login (Invalid user credentials)" in done.stderr
    done = site.run("submit-jobs", publication, HPS_PASSWORD="", HPS_USERNAME="")
    assert "error: no HPS credentials found\nhint: set HPS_USERNAME" in done.stderr
    done = site.run("submit-jobs", publication, HPS_URL="http://127.0.0.1:9/hps")
    assert "cannot be reached (Connection refused)" in done.stderr
    done = site.run("submit-jobs", publication, HPS_URL=site.index.url)
    assert "does not answer like HPS" in done.stderr
    done = site.run("submit-jobs", publication, HPS_URL="ftp://x")
    assert done.returncode == 2
    hps.version = "1.0.20"
    done = site.run("submit-jobs", publication)
    assert "is too old" in done.stderr
    assert "HPS 1.2.0 or newer" in done.stderr
    hps.version = "1.1.225"
    hps.faults["POST", "/jms/api/v1/projects"] = refuse(403, "no quota")
    assert (
        "does not allow this user to do that (no quota)"
        in site.run("submit-jobs", publication).stderr
    )
    assert not hps.projects


def test_a_busy_server_and_a_token_that_ends_in_the_middle_are_got_over(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    hps.faults["GET", "/rms/api/v1/evaluators"] = once(refuse(503))
    hps.faults["POST", ".*/jobs"] = once(refuse(401))
    assert submitted(site, publication) in hps.projects


def test_a_transfer_has_the_token_of_now(site: Workplace, hps: Hps, publication: Path) -> None:
    hps.token_life = 5
    with working(evaluator(site, hps)):
        project = submitted(site, publication, "--sweep", "frequency=1:3:1", "--wait")
    script = f"""
import sys, time
from pathlib import Path
from bundler.hps.connection import Account, connected
from bundler.hps.results import fetch
from bundler.progress import silent
with connected(Account(url={hps.url!r}, username="anna", password="secret of anna")) as client:
    fetch(client, {project!r}, Path("first"), report=silent)
    time.sleep(8)
    fetch(client, {project!r}, Path("second"), report=silent)
"""
    done = site.run(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    assert len(list((site.folder / "second").rglob("plot.txt"))) == 3


def test_a_transfer_that_takes_longer_than_the_life_of_its_token_goes_on_with_the_next_one(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    expired: list[str] = []

    def slowly(handler: Handler) -> bool:
        time.sleep(0.7)
        token = (handler.headers["Authorization"] or "").removeprefix("Bearer ")
        if not hps.accepts(token):
            expired.append(handler.path)
        return False

    with working(evaluator(site, hps)):
        project = submitted(site, publication, "--sweep", "frequency=1:6:1", "--wait")
    hps.token_life = 7
    hps.faults["GET", ".*/storage/.*"] = slowly
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 0, done.stderr
    assert not expired
    assert len(list((site.folder / "results").rglob("plot.txt"))) == 6


def test_a_server_that_cuts_lists_off_loses_no_job(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    hps.longest_list = 10
    project = submitted(site, publication, "--sweep", "frequency=1:23:1")
    for job in jobs_of(hps, project):
        job["eval_status"] = "failed"
    shown = site.run("bundler", "hps", "show", project)
    assert "23 jobs failed" in shown.stdout + shown.stderr
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 0, done.stderr
    assert len((site.folder / "results" / "results.csv").read_text().splitlines()) == 24
    site.run("bundler", "hps", "retry", project)
    assert {job["eval_status"] for job in jobs_of(hps, project)} == {"pending"}


def test_a_home_with_a_space_is_told_at_once(
    site: Workplace, hps: Hps, publication: Path, tmp_path: Path
) -> None:
    home = tmp_path / "my home"
    home.mkdir()
    started = time.monotonic()
    done = site.run("submit-jobs", publication, HOME=str(home))
    assert "contains a space" in done.stderr
    assert time.monotonic() - started < 10
    assert not hps.projects


def test_a_worker_that_does_not_start_is_told_with_what_to_remove(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    workers = Path(site.environment["HOME"], ".ansys", "hps", "data-transfer", "binaries", "worker")
    workers.mkdir(parents=True)
    (workers / f"hpsdata-{hps.worker_version}").write_bytes(b"half of a progr")
    done = site.run("submit-jobs", publication)
    assert done.returncode == 1
    assert "the transfer worker does not start" in done.stderr
    assert f"delete {workers}" in done.stderr
    assert not hps.projects


@pytest.mark.parametrize(
    "name", ["../../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "C:\\evil.txt"]
)
def test_a_hostile_file_name_of_the_server_is_refused(
    site: Workplace, hps: Hps, publication: Path, name: str
) -> None:
    with working(evaluator(site, hps)):
        project = submitted(site, publication, "--wait")
    for file in hps.of(project, "files").values():
        if file.get("reference_id"):
            file["evaluation_path"] = name
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 1
    assert "the name is not a plain path inside the job's folder" in done.stderr
    assert not list(site.folder.rglob("evil*"))
    assert not Path("/tmp/evil.txt").exists()
    fetched = {path.name for path in (site.folder / "results").rglob("*") if path.is_file()}
    assert fetched == {"results.csv", "console_output.txt"}


def test_hostile_names_of_jobs_become_numbers_and_changed_files_are_refused(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    with working(evaluator(site, hps)):
        project = submitted(site, publication, "-j", "2", "--wait")
    for job in jobs_of(hps, project):
        job["name"] = "../evil"
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (site.folder / "results").iterdir()} == {
        "job-number-1",
        "job-number-2",
        "results.csv",
    }
    for file in hps.of(project, "files").values():
        if file.get("reference_id"):
            path = hps.storage / project / file["id"]
            path.write_bytes(path.read_bytes() + b"more")
    done = site.run("bundler", "hps", "fetch", project, "-o", "again")
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
    assert (site.folder / "again" / "results.csv").exists()
    assert not [
        path
        for path in (site.folder / "again").rglob("*")
        if path.is_file() and "plot" in path.name
    ]


def test_jobs_that_stay_pending_are_warned_of(site: Workplace, hps: Hps, publication: Path) -> None:
    project = submitted(site, publication)
    script = f"""
import sys
import bundler.cli.jobs as jobs
jobs._STUCK = 1.0
sys.argv = ["bundler", "hps", "watch", {project!r}, "--interval", "0.2"]
from bundler.cli import main
main()
"""
    with site.started("python", "-c", script) as process:
        seen = ""
        while "none is running" not in seen and process.poll() is None:
            seen += (process.stderr or sys.stdin).readline()
        process.send_signal(signal.SIGINT)
        seen += process.communicate(timeout=30)[1]
    assert "warning: jobs have been pending" in seen
    assert f"The jobs continue. Watch them again with: bundler hps watch {project}" in seen
    assert process.returncode == 130
    assert jobs_of(hps, project)[0]["eval_status"] == "pending"


def test_watching_a_project_that_is_deleted_ends_at_once(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    project = submitted(site, publication)
    hps.requests.clear()
    command = ("bundler", "hps", "watch", project, "--interval", "0.2")
    with site.started(*command) as process:
        while process.poll() is None and not any("/jobs" in str(each) for each in hps.requests):
            time.sleep(0.05)
        time.sleep(0.5)
        started = time.monotonic()
        del hps.projects[project]
        _, words = process.communicate(timeout=60)
    assert time.monotonic() - started < 20
    assert process.returncode == 1
    assert f"the HPS project {project} was deleted\nhint: " in words


@pytest.mark.parametrize("stamps_states", [True, False])
def test_watching_sees_every_change_whether_or_not_hps_stamps_it(
    site: Workplace, hps: Hps, publication: Path, stamps_states: bool
) -> None:
    hps.stamps_states = stamps_states
    project = submitted(site, publication, "-j", "3")
    with working(evaluator(site, hps)):
        done = site.run("bundler", "hps", "watch", project, "--interval", "0.1")
    assert done.returncode == 0, done.stderr
    assert "3 evaluated" in done.stderr


def test_registering_shows_the_difference_and_changes_only_what_it_says(
    site: Workplace, hps: Hps
) -> None:
    configuration = next(iter(hps.configurations.values()))
    other = {
        "name": "Ansys Mechanical",
        "version": "2026 R1",
        "install_path": "/a",
        "executable": "/a/m",
    }
    configuration["applications"].append(other)
    arguments = [
        "--executable",
        "/ansys_inc/uv/bin/uv",
        "--cache",
        "/tmp/scratch/uv_cache",
        "--uv-version",
        "0.6.14",
    ]
    hps.register("node-2", platform="windows")
    done = site.run("bundler", "hps", "register", *arguments)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "  - executable: /x/bin/uv\n  + executable: /ansys_inc/uv/bin/uv\n" in done.stderr
    assert configuration["applications"][0]["executable"] == "/x/bin/uv"
    done = site.run("bundler", "hps", "register", *arguments, "--apply", "--yes")
    assert (done.returncode, done.stdout) == (0, "node-1\n"), done.stderr
    found = {app["name"]: app for app in configuration["applications"]}
    assert found["uv"]["environment"] == {"UV_CACHE_DIR": "/tmp/scratch/uv_cache"}
    assert found["Ansys Mechanical"]["version"] == "2026 R1"
    assert (
        "Already registered on node-1" in site.run("bundler", "hps", "register", *arguments).stderr
    )


def test_a_template_holds_the_execution_script_for_others(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    done = site.run(
        "bundler", "hps", "template", publication, "--name", "Plot a sine", "--for-anyone"
    )
    assert done.returncode == 0, done.stderr
    template = hps.templates[done.stdout.strip()]
    assert template["name"] == "Plot a sine"
    assert template["software_requirements"] == [{"name": "uv", "versions": []}]
    assert template["output_files"][0]["evaluation_path"] == "plot.txt"
    path = (
        hps.storage
        / template["execution_script_storage_bucket"]
        / template["execution_script_storage_id"]
    )
    assert path.read_bytes() == (publication / "exec_script.py").read_bytes()
    assert [each["permission_type"] for each in template["permissions"]] == ["user", "anyone"]
    hps.version = "1.1.20"
    done = site.run("bundler", "hps", "template", publication)
    assert "too old" in done.stderr
    assert "\nhint: use HPS 1.3.45 or newer\n" in done.stderr


def test_jobs_of_a_signed_bundle_say_who_signed_it(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    trust = allow(make_key(site.folder / "anna"))
    options = ["--trust", str(trust.allowed)]
    done = site.run("submit-jobs", publication, *options)
    assert done.returncode == 1
    assert "has no signature\nhint: have it signed with `bundler sign`" in done.stderr
    assert not hps.projects
    assert site.run("bundler", "sign", publication, "--key", "anna").returncode == 0
    project = submitted(site, publication, *options)
    with working(evaluator(site, hps)):
        assert site.run("bundler", "hps", "watch", project, "--interval", "0.2").returncode == 0
    assert site.run("bundler", "hps", "fetch", project, "-o", "results").returncode == 0
    log = (site.folder / "results" / "job-1" / "console_output.txt").read_text()
    manifest = hashlib.sha256((publication / "manifest.json").read_bytes()).hexdigest()
    assert re.search(rf"Signed by anna@site \(SHA256:\S+\) on \S+, manifest {manifest}", log)


def test_a_login_with_the_browser_is_kept(site: Workplace, publication: Path) -> None:
    browser = site.folder / "browser"
    browser.write_text(
        python_program("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n")
    )
    browser.chmod(0o755)
    site.environment.update(
        HPS_USERNAME="", HPS_PASSWORD="", BROWSER=f"{shlex.quote(str(browser))} %s"
    )
    done = site.run("bundler", "hps", "login", "--store", "disk")
    assert done.returncode == 0, done.stderr
    project = site.run("submit-jobs", publication)
    assert project.returncode == 0, project.stderr
    kept = Path(site.environment["HOME"], ".ansys", "hps", "hps_tokens.json")
    assert kept.stat().st_mode & 0o077 == 0
    assert "If no browser opens, open this URL on this machine:\n  http" in done.stderr


def test_a_dry_run_needs_no_server_and_shows_the_jobs(
    workplace: Workplace, publication: Path
) -> None:
    done = workplace.run("submit-jobs", publication, "--sweep", "frequency=1:3:1", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"3 jobs of {publication.name} on linux\n")
    assert done.stdout.endswith("  frequency=1.0\n  frequency=2.0\n  frequency=3.0\n")
    done = workplace.run("submit-jobs", publication, "--dry-run", "--json", "-j", "2")
    assert json.loads(done.stdout)["jobs"] == [{"values": {"frequency": 1.0}}] * 2


def test_what_needs_no_server_is_checked_before_one_is_asked_for(
    workplace: Workplace, publication: Path
) -> None:
    done = workplace.run("submit-jobs", publication, "--sweep", "frequenzy=1:3:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no script declares frequenzy (did you mean frequency?)" in done.stderr
    assert "no HPS URL given" in workplace.run("submit-jobs", publication).stderr


def test_a_login_can_use_a_browser_on_another_device(site: Workplace, hps: Hps) -> None:
    site.environment.update(HPS_USERNAME="", HPS_PASSWORD="")
    done = site.run("bundler", "hps", "login", "--store", "disk", "--device")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "does not support a login on another device\nhint: log in without --device" in done.stderr
    )
    hps.device_logins = ["authorization_pending", ""]
    done = site.run("bundler", "hps", "login", "--store", "disk", "--device")
    assert done.returncode == 0, done.stderr
    assert "enter the code ABCD-EFGH:\n  http" in done.stderr
    hps.device_logins = ["access_denied"]
    done = site.run("bundler", "hps", "login", "--store", "disk", "--device")
    assert "rejected the login (access_denied)\nhint: " in done.stderr


def test_a_login_says_at_once_that_there_is_no_keyring(site: Workplace, hps: Hps) -> None:
    if importlib.util.find_spec("keyring"):
        pytest.skip("there is a keyring here")
    done = site.run("bundler", "hps", "login")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "keyring: the package is not installed\nhint: run `pip install keyring`, or use --store disk"
        in done.stderr
    )
    assert not hps.requests


def test_a_password_comes_by_standard_input_and_no_secret_is_written_anywhere(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    environment = {**site.environment, "HPS_PASSWORD": ""}
    done = subprocess.run(
        [BIN / "submit-jobs", publication, "--password-stdin"],
        input="secret of anna\n",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=site.folder,
    )
    assert done.returncode == 0, done.stderr

    def tell(handler: Handler) -> bool:
        handler.send(
            500, {"title": "x", "description": f"token was {handler.headers['Authorization']}"}
        )
        return True

    hps.faults["POST", ".*/jobs"] = tell
    failed = site.run("submit-jobs", publication)
    assert "token was ***" in failed.stderr
    written = [done.stdout, done.stderr, failed.stderr]
    for folder in (site.folder, Path(site.environment["HOME"])):
        written += [
            path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()
        ]
    assert not [
        text
        for text in written
        if "secret of anna" in text or ("eyJ" in text and "eyJ[" not in text)
    ]


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    names = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return key, certificate


def test_tls_is_verified_unless_told_otherwise(
    site: Workplace, publication: Path, certificates: tuple[Path, Path], tmp_path: Path
) -> None:
    key, certificate = certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with stand_in.serving(Hps(storage=tmp_path / "tls"), context) as secure:
        secure.register("node-1")
        site.environment["HPS_URL"] = secure.url
        done = site.run("submit-jobs", publication)
        assert "its certificate is not trusted" in done.stderr
        assert "--ca-bundle FILE" in done.stderr
        # Variables that build machines set would win over what the client is told.
        elsewhere = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().openssl_cafile
        site.environment.update(REQUESTS_CA_BUNDLE=elsewhere, CURL_CA_BUNDLE=elsewhere)
        done = site.run("submit-jobs", publication, "--ca-bundle", certificate)
        assert done.returncode == 0, done.stderr
        done = site.run("submit-jobs", publication, "--insecure")
        assert done.returncode == 0, done.stderr
        assert "warning: TLS certificate verification is disabled" in done.stderr


def test_a_publication_that_brings_all_needs_no_application(site: Workplace, hps: Hps) -> None:
    with contextlib.suppress(KeyError):
        site.environment.pop("BUNDLER_SCRIPT")
    publication = published(site)
    manifest = json.loads((publication / "publication.json").read_text())
    assert manifest["strategy"] == "index"
    done = site.run("submit-jobs", publication, "--application", "none")
    assert done.returncode == 0, done.stderr
    (task,) = hps.of(done.stdout.strip(), "task_definitions").values()
    assert not task["software_requirements"]


def test_a_bundle_is_for_the_evaluators_that_hps_has_or_for_what_the_script_says(
    site: Workplace, hps: Hps
) -> None:
    site.script("solve.py")
    done = site.run("bundle", "solve.py", "--python", "3.12", "--for-hps")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((site.folder / "solve.bundle" / "manifest.json").read_text())
    assert [target["name"] for target in manifest["targets"]] == ["3.12-x86_64-manylinux_2_28"]
    path = site.script("said.py")
    block = '# [tool.bundler]\n# python = ["3.11", "3.12"]\n# platform = "windows"\n# ///\n'
    path.write_text(path.read_text().removesuffix("# ///\n") + block)
    done = site.run("bundle", "said.py")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((site.folder / "said.bundle" / "manifest.json").read_text())
    assert [target["python"] for target in manifest["targets"]] == ["3.12", "3.11"]
    assert {target["system"] for target in manifest["targets"]} == {"Windows"}
    hps.evaluators.clear()
    assert (
        "hint: give the platform with --platform"
        in site.run("bundle", "solve.py", "--for-hps").stderr
    )
