"""Campaigns on a real Slurm of several nodes: every job ends exactly once, with a result or a reason."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins.nodes import uv_wheel
from tests.stand_ins.slurm import Slurm, is_available, serving
from tests.stand_ins.wheels import make_wheel

needs_slurm = pytest.mark.skipif(
    not is_available(), reason="Slurm is not installed, or not for this user"
)
BODY = """
import json, os, pathlib, signal, sys, time
import alpha
given = json.load(open("input_parameters.json"))
kind = given.get("kind", "none")
print("kind is", kind, "on", os.uname().nodename, flush=True)
values = {"maximum": 1.5}
if kind == "exception":
    raise ValueError("no convergence")
if kind == "exit code":
    sys.exit(3)
if kind == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "too slow":
    time.sleep(60)
if kind == "waits":
    time.sleep(given.get("seconds", 200))
if kind == "wrong type":
    values["maximum"] = "high"
if kind != "no parameter":
    json.dump(values, open("output_parameters.json", "w"))
if kind != "no file":
    pathlib.Path("plot.txt").write_text(kind)
"""
BLOCK = """
[tool.bundler]
outputs = ["plot.txt"]
timeout = "5 s"
parameters = {kind = "none"}
output-parameters = {maximum = "float"}
"""
REASONS = {
    "none": ("evaluated", ""),
    "exception": ("failed", "the script failed: ValueError: no convergence"),
    "exit code": ("failed", "the script failed with exit code 3"),
    "killed": (
        "failed",
        "the script was killed (exit code 137), probably because it needs more memory than it may use",
    ),
    "too slow": ("timeout", ""),
    "no file": ("failed", "no output file plot.txt"),
    "no parameter": ("failed", "no output parameter maximum"),
    "wrong type": ("failed", "the output parameter maximum is not of type float (high)"),
}


@pytest.fixture
def slurm(workplace: Workplace) -> Iterator[Slurm]:
    """A Slurm of two nodes that see the workplace."""
    with (
        # The sockets of Slurm have names of at most 107 bytes.
        tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as state,
        serving(Path(state), workplace.folder) as running,
    ):
        workplace.environment["SLURM_CONF"] = str(running.conf)
        yield running


def add_wheels(site: Workplace) -> None:
    """Let the index have what the scripts need, and uv, which nodes of Slurm do not have."""
    site.index.add(make_wheel("alpha"))
    version = site.run("uv", "--version").stdout.split()[1]
    site.index.add(uv_wheel(version, BIN / "uv"))


@pytest.fixture
def publication(workplace: Workplace) -> Path:
    add_wheels(workplace)
    path = workplace.script("solve.py", "alpha", body=BODY)
    block = "".join(f"# {line}\n" for line in BLOCK.strip().splitlines())
    path.write_text(path.read_text().replace("# ///\n" + BODY, f"{block}# ///\n{BODY}"))
    workplace.bundle("solve.py", "--include-uv")
    return workplace.publish("solve.bundle")


def submit(site: Workplace, publication: Path, *options: str | Path) -> str:
    done = site.run("bundler", "slurm", "submit", publication, "--folder", "study", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "study\n"
    return done.stderr


def collected(site: Workplace) -> dict[str, dict[str, str]]:
    """Return the rows of the table by job."""
    done = site.run("bundler", "slurm", "collect", "study", "-o", "results")
    assert (done.returncode, done.stdout) == (0, "results/results.csv\n"), done.stderr
    with (site.folder / "results" / "results.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert len({row["job"] for row in rows}) == len(rows)
    return {row["job"]: row for row in rows}


@needs_slurm
def test_every_job_of_a_table_ends_once_with_a_result_or_a_reason_as_on_hps(
    workplace: Workplace, slurm: Slurm, publication: Path
) -> None:
    kinds = list(REASONS)
    (workplace.folder / "kinds.csv").write_text("\n".join(["kind", *kinds, *kinds]) + "\n")
    told = submit(workplace, publication, "--params", "kinds.csv", "--array-limit", "4")
    # An array has at most eight jobs here.
    assert told == "Submitted 1, 2\n"
    slurm.wait()
    rows = collected(workplace)
    assert len(rows) == 2 * len(kinds)
    for row in rows.values():
        state, reason = REASONS[row["kind"]]
        assert (row["status"], row["reason"].partition(" (node ")[0]) == (state, reason)
        if state == "evaluated":
            folder = workplace.folder / "results" / row["job"]
            assert (folder / "plot.txt").read_text() == "none"
            assert row["maximum"] == "1.5"
            assert f"on {row['evaluators']}" in (folder / "console_output.txt").read_text()
    done = workplace.run("bundler", "slurm", "retry", "study")
    assert done.stdout == f"{2 * len(kinds) - 2}\n"
    slurm.wait()
    again = collected(workplace)
    assert {name: row["status"] for name, row in again.items()} == {
        name: row["status"] for name, row in rows.items()
    }


@needs_slurm
def test_steps_input_files_of_each_job_and_slurms_own_options(
    workplace: Workplace, slurm: Slurm
) -> None:
    add_wheels(workplace)
    first = "import pathlib\npathlib.Path('mesh.txt').write_text(pathlib.Path('in.txt').read_text() * 2)\n"
    second = "import pathlib, os\nmesh = pathlib.Path('mesh.txt').read_text()\n"
    second += "pathlib.Path('out.txt').write_text(mesh + os.environ['NAME'])\n"
    for name, body in (("mesh.py", first), ("solve.py", second)):
        workplace.script(name, "alpha", body=body)
    workplace.bundle("mesh.py", "solve.py", "--include-uv", "-o", "two.bundle")
    publication = workplace.publish("two.bundle")
    for name in ("a", "b"):
        (workplace.folder / f"{name}.txt").write_text(name)
    (workplace.folder / "jobs.csv").write_text("job,in.txt\nfirst,a.txt\nsecond,b.txt\n")
    (workplace.folder / "jobs.toml").write_text(
        '[steps."mesh.py"]\ninputs = ["in.txt"]\noutputs = ["mesh.txt"]\n'
        '[steps."solve.py"]\ninputs = ["mesh.txt"]\noutputs = ["out.txt"]\nenvironment = {NAME = "!"}\n'
    )
    options = ["--params", "jobs.csv", "--settings", "jobs.toml", "--memory", "64 MB"]
    options += ["--partition", "batch", "--sbatch-option=--nice=10", "--cores", "2"]
    submit(workplace, publication, *options)
    (script,) = workplace.folder.glob("study/submissions/*.sh")
    for word in ("--cpus-per-task=2", "--mem=62500K", "--partition=batch", "--nice=10"):
        assert f"#SBATCH {word}\n" in script.read_text()
    slurm.wait()
    rows = collected(workplace)
    assert {row["status"] for row in rows.values()} == {"evaluated"}
    results = workplace.folder / "results"
    assert (results / "first" / "out.txt").read_text() == "aa!"
    assert (results / "second" / "out.txt").read_text() == "bb!"
    assert (results / "second" / "mesh.py" / "console_output.txt").is_file()


@needs_slurm
def test_cancelled_jobs_and_jobs_of_a_node_that_failed_have_a_state(
    workplace: Workplace, slurm: Slurm, publication: Path
) -> None:
    options = ["--set", "timeout=60", "--cores", "4"]
    (workplace.folder / "t.csv").write_text("kind,seconds\nwaits,2\nwaits,50\nwaits,50\n")
    submit(
        workplace,
        publication,
        *("--params", "t.csv", *options),
        *("--set", "parameters={kind = 'none', seconds = 1}", "--sbatch-option=--no-requeue"),
    )
    end = time.monotonic() + 60
    running: set[str] = set()
    while running != {"job-2", "job-3"}:
        assert time.monotonic() < end, slurm.run("squeue", "-r")
        time.sleep(0.5)
        rows = collected(workplace)
        running = {
            name for name, row in rows.items() if row["status"] == "running" and row["evaluators"]
        }
    slurm.run("scancel", "1_1")
    node = collected(workplace)["job-3"]["evaluators"]
    slurm.power_off(node)
    slurm.wait(180)
    rows = collected(workplace)
    assert rows["job-1"]["status"] == "evaluated"
    assert rows["job-2"]["status"] == "aborted"
    assert (rows["job-3"]["status"], rows["job-3"]["reason"]) == (
        "failed",
        f"it was killed, or its node failed (node {node})",
    )
    slurm.power_on(node)


@needs_slurm
def test_a_wheel_that_was_changed_in_the_store_is_the_reason(
    workplace: Workplace, slurm: Slurm, publication: Path
) -> None:
    (wheel,) = publication.glob("wheels/alpha-*.whl")
    data = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(data[:-1])
    submit(workplace, publication)
    slurm.wait()
    (row,) = collected(workplace).values()
    assert row["status"] == "failed"
    assert row["reason"].startswith(f"the wheel {wheel} was changed after it was published")


def test_what_slurm_cannot_do_is_refused_before_anything_is_written(
    workplace: Workplace, publication: Path
) -> None:
    base: list[str | Path] = ["bundler", "slurm", "submit", publication, "--folder", "study"]
    mapping = '[{parameter = "kind", file = "plot.txt", key-string = "x"}]'
    done = workplace.run(*base, "--set", f"parameter-mappings={mapping}")
    assert "parameter-mappings are of HPS" in done.stderr
    for name in ("a%b", 'a"b', "a\nb"):
        done = workplace.run(*base[:-1], name)
        assert "which Slurm reads in a way of its own" in done.stderr
    (workplace.folder / "t.csv").write_text("job,kind\nresults.csv,none\n")
    done = workplace.run(*base, "--params", "t.csv")
    assert "which is the name of the table" in done.stderr
    done = workplace.run(*base, "--sbatch-option", "reservation")
    assert done.returncode == 2
    assert not (workplace.folder / "study").exists()
    done = workplace.run("bundler", "slurm", "collect", publication, "-o", "results")
    assert "is not the folder of a campaign" in done.stderr
    shown = workplace.run("bundler", "slurm", "script", publication, "-j", "3", "--time", "5:00")
    assert "#SBATCH --array=0-2\n" in shown.stdout
    assert "#SBATCH --time=5:00\n" in shown.stdout
    assert json.loads((publication / "publication.json").read_text())["path"] in shown.stdout
    (workplace.folder / "study").mkdir()
    assert "study exists" in workplace.run(*base).stderr
    shutil.rmtree(workplace.folder / "study")
    workplace.environment["SLURM_CONF"] = "/nowhere/slurm.conf"
    done = workplace.run(*base)
    assert done.returncode == 1
    assert "scontrol failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workplace.folder / "study").exists()


@needs_slurm
def test_a_retry_leaves_nothing_of_the_attempt_before_and_a_time_limit_is_one(
    workplace: Workplace, slurm: Slurm, publication: Path
) -> None:
    (workplace.folder / "t.csv").write_text("job,kind\nfails,exception\nslow,waits\n")
    options = ["--params", "t.csv", "--set", "timeout=600", "--time", "1"]
    submit(workplace, publication, *options)
    slurm.wait(200)
    rows = collected(workplace)
    assert rows["slow"]["status"] == "timeout"
    error = workplace.folder / "results" / "fails" / "bundler_error.txt"
    assert error.is_file()
    table = workplace.folder / "study" / "jobs.json"
    document = json.loads(table.read_text())
    for job in document["jobs"]:
        job["values"] = {"kind": "none"}
    table.write_text(json.dumps(document))
    assert workplace.run("bundler", "slurm", "retry", "study").stdout == "2\n"
    slurm.wait()
    rows = collected(workplace)
    assert {row["status"] for row in rows.values()} == {"evaluated"}
    assert not error.exists()
