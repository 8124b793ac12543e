"""Why jobs fail, as `show` and `results.csv` say it: each kind of failure really happens on an evaluator."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Workplace
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_evaluator import Evaluator, working
from tests.stand_ins.hps_site import evaluator, submitted
from tests.stand_ins.wheels import make_wheel

BODY = """
import json, os, pathlib, signal, sys, time
import alpha
kind = json.load(open("input_parameters.json"))["kind"]
values = {"maximum": 1.5}
if kind == "exception":
    raise ValueError("no convergence")
if kind == "exit code":
    sys.exit(3)
if kind == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "crashed":
    os.kill(os.getpid(), signal.SIGSEGV)
if kind == "too slow":
    time.sleep(60)
if kind == "full folder":
    out = os.open("big", os.O_WRONLY | os.O_CREAT)
    while True:
        os.write(out, bytes(1000))
if kind == "wrong type":
    values["maximum"] = "high"
if kind != "no parameter":
    json.dump(values, open("output_parameters.json", "w"))
if kind != "no file":
    pathlib.Path("plot.txt").write_text("x")
"""
BLOCK = """
[tool.bundler]
outputs = ["plot.txt"]
timeout = "10 s"
parameters = {kind = "none"}
output-parameters = {maximum = "float"}
"""
REASONS = {
    "none": "",
    "exception": "the script failed: ValueError: no convergence",
    "exit code": "the script failed with exit code 3",
    "killed": "the script was killed (exit code 137), probably because it needs more memory than it may use",
    "crashed": "the script crashed in native code (exit code 139, a segmentation fault)",
    "too slow": "",
    "no file": "no output file plot.txt",
    "no parameter": "no output parameter maximum",
    "wrong type": "the output parameter maximum is not of type float (high)",
}


@pytest.fixture
def failing(site: Workplace) -> Path:
    """A publication of a script that fails in the way that its parameter says."""
    site.index.add(make_wheel("alpha"))
    path = site.script("solve.py", "alpha", body=BODY)
    block = "".join(f"# {line}\n" for line in BLOCK.strip().splitlines())
    path.write_text(path.read_text().replace("# ///\n" + BODY, f"{block}# ///\n{BODY}"))
    site.bundle("solve.py")
    return site.publish("solve.bundle")


@pytest.fixture
def small(site: Workplace) -> Iterator[Path]:
    """A folder on a disk of 2 MB."""
    folder = site.folder / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def reasons(site: Workplace, project: str) -> dict[str, tuple[str, str]]:
    """Return state and reason of each job by its kind of failure, from `results.csv`; `show` says the same."""
    done = site.run("bundler", "hps", "fetch", project, "-o", project)
    assert done.returncode == 0, done.stderr
    found = {}
    with (site.folder / project / "results.csv").open() as table:
        for row in csv.DictReader(table):
            found[row["kind"]] = (row["status"], row["reason"].partition(" (node ")[0])
    shown = json.loads(site.run("bundler", "hps", "show", project, "--json").stdout)
    told = {failure["reason"] for failure in shown["failures"]}
    assert told == {reason for state, reason in found.values() if state != "evaluated"}
    return found


def run(site: Workplace, publication: Path, kinds: list[str], node: Evaluator) -> str:
    """Run a job of each of `kinds` on `node`; return the project."""
    (site.folder / "kinds.csv").write_text("\n".join(["kind", *kinds]) + "\n")
    with working(node):
        project = submitted(site, publication, "--params", "kinds.csv")
        site.run("bundler", "hps", "watch", project, "--interval", "0.2")
    return project


def test_each_kind_of_failure_of_a_script_has_its_own_reason(
    site: Workplace, hps: Hps, failing: Path
) -> None:
    project = run(site, failing, list(REASONS), evaluator(site, hps))
    found = reasons(site, project)
    states = dict.fromkeys(REASONS, "failed") | {"none": "evaluated", "too slow": "timeout"}
    assert found == {kind: (states[kind], reason) for kind, reason in REASONS.items()}


def test_a_full_folder_of_the_job_is_the_reason(
    site: Workplace, hps: Hps, failing: Path, small: Path
) -> None:
    project = run(site, failing, ["full folder"], evaluator(site, hps, folder=small))
    state, reason = reasons(site, project)["full folder"]
    assert state == "failed"
    assert reason.startswith(f"the folder of the job is full: {small}")


def test_a_full_disk_of_the_cache_is_the_reason(
    site: Workplace, hps: Hps, failing: Path, small: Path
) -> None:
    (small / "rest").write_bytes(bytes(1_990_000))
    node = evaluator(site, hps, environment={"UV_CACHE_DIR": str(small)})
    project = run(site, failing, ["none"], node)
    state, reason = reasons(site, project)["none"]
    assert (state, reason.partition(":")[0]) == ("failed", "the disk of the uv cache is full")


def test_a_damaged_wheel_is_the_reason_by_its_path(
    site: Workplace, hps: Hps, failing: Path
) -> None:
    (wheel,) = failing.glob("wheels/alpha-*.whl")
    data = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(data[:-1])
    project = run(site, failing, ["none"], evaluator(site, hps))
    assert reasons(site, project)["none"] == (
        "failed",
        f"the wheel {wheel} was changed after it was published",
    )


def test_a_retry_that_succeeds_has_no_reason_of_the_attempt_before(
    site: Workplace, hps: Hps, failing: Path
) -> None:
    (wheel,) = failing.glob("wheels/alpha-*.whl")
    kept = shutil.move(wheel, site.folder / "kept")
    project = run(site, failing, ["none"], evaluator(site, hps))
    state, reason = reasons(site, project)["none"]
    assert state == "failed"
    assert "cannot read the wheel" in reason
    shutil.move(kept, wheel)
    with working(evaluator(site, hps)):
        assert site.run("bundler", "hps", "retry", project, "--wait").returncode == 0
    assert reasons(site, project)["none"] == ("evaluated", "")
