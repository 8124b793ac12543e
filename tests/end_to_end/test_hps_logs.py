"""The console output of jobs, while they run and afterwards, with servers that tell it in different ways."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_evaluator import working
from tests.stand_ins.hps_site import evaluator, jobs_of, submitted
from tests.stand_ins.wheels import make_wheel


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until `holds` returns True."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


_TALKER = """
import json, pathlib, time
print("begin", flush=True)
stop = pathlib.Path({stop!r})
for number in range(600):
    if stop.exists():
        break
    time.sleep(0.1)
print("end", flush=True)
"""


@pytest.mark.parametrize("way", ["monitor", "collected files", "neither"])
def test_logs_show_what_a_job_has_printed_and_follow_it_to_its_end(
    site: Workplace, hps: Hps, way: str
) -> None:
    hps.has_monitor = way == "monitor"
    site.index.add(make_wheel("alpha"))
    stop = site.folder / "stop"
    site.script("talk.py", "alpha", body=_TALKER.format(stop=str(stop)))
    site.bundle("talk.py")
    publication = site.publish("talk.bundle")
    with working(evaluator(site, hps, collects_running=way == "collected files")):
        project = submitted(site, publication)
        wait_until(lambda: jobs_of(hps, project)[0]["eval_status"] == "running")
        command: list[str | Path] = ["bundler", "hps", "logs", project, "job-1"]
        if way != "neither":
            wait_until(lambda: "begin" in site.run(*command).stdout)
        following = subprocess.Popen(
            [BIN / "bundler", *command[1:], "--follow"],
            env=site.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1)
        stop.touch()
        output, errors = following.communicate(timeout=60)
    assert following.returncode == 0, errors
    assert [line for line in output.splitlines() if line in ("begin", "end")] == ["begin", "end"]
    assert site.run(*command).stdout == output


def test_logs_of_a_job_that_does_not_exist_or_has_not_started_say_so(
    site: Workplace, publication: Path
) -> None:
    project = submitted(site, publication)
    done = site.run("bundler", "hps", "logs", project, "job-7")
    assert done.returncode == 1
    assert "has no job job-7" in done.stderr
    done = site.run("bundler", "hps", "logs", project, "job-1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "job-1 has printed nothing yet" in done.stderr
