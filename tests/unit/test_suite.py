"""What the suite and the Makefile promise whoever runs them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, started

HANGING = """
import threading
from concurrent.futures import ThreadPoolExecutor

def test_that_hangs():
    threading.Event().wait()

def test_that_hangs_while_it_fails():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(threading.Event().wait)
        assert False

def test_that_ends():
    pass
"""


def test_a_test_that_hangs_is_ended_and_named_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)
    limits = ["-o", "timeout=1", "-o", "faulthandler_timeout=2"]
    command = [
        "-m",
        "pytest",
        "-c",
        str(REPOSITORY / "pyproject.toml"),
        "-n",
        "1",
        *limits,
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    failed = re.findall(r"FAILED .*test_hanging.py::(\w+)", done.stdout)
    assert sorted(failed) == ["test_that_hangs", "test_that_hangs_while_it_fails"], done.stdout
    assert "1 passed" in done.stdout


def test_a_program_that_a_test_starts_hears_an_interrupt_though_the_suite_ignores_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with started(
            [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
        ) as process:
            assert process.stdout
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == -signal.SIGINT
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_alone_lists_all_targets_and_does_nothing() -> None:
    done = subprocess.run(
        ["make", "-C", REPOSITORY, "-s"], capture_output=True, text=True, check=True
    )
    listed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("make ")]
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert listed == phony.split()
