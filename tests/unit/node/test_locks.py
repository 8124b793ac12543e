from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from bundler.node import locks
from tests.conftest import started

# Holds the lock of its argument.
HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_job_that_died_in_its_turn_holds_nobody(tmp_path: Path) -> None:
    place = str(tmp_path / "place")
    with started([sys.executable, "-c", HOLD, f"{place}.turn"]) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        with Path(f"{place}.turn").open("a+b") as lock:
            assert not locks.lock_now(lock)
        job.kill()
        job.wait()
        begun = time.monotonic()
        with locks.turn(place, os.path.exists):
            assert time.monotonic() - begun < locks.PATIENCE / 2


def test_a_folder_that_can_be_locked_lacks_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not locks.lacks_locks(str(tmp_path))
    assert not locks.lacks_locks(str(tmp_path / "nowhere"))  # which is told where it is written to

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_lock)
    assert locks.lacks_locks(str(tmp_path))
    with locks.turn(str(tmp_path / "place"), os.path.exists):
        pass  # nobody is kept out


def test_the_cache_is_idle_unless_a_job_runs(tmp_path: Path) -> None:
    assert not locks.is_idle(str(tmp_path / "nowhere"))
    with locks.in_use(str(tmp_path)), locks.in_use(str(tmp_path)):
        assert not locks.is_idle(str(tmp_path))
    assert locks.is_idle(str(tmp_path))
