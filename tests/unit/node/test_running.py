from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bundler.node import running
from tests.conftest import started


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_the_exit_code_of_a_command_is_left_in_a_file_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    script = tmp_path / "s.py"
    script.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(int(sys.argv[1]))\n")
    for code in (0, 3):
        status = tmp_path / "status"
        monkeypatch.setattr(os, "name", system)
        command = running.reporting([sys.executable, str(script), str(code), "a 'b' $c"], sys.executable, str(status))
        monkeypatch.undo()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, status.read_text().strip()) == (code, str(code))
        assert done.stdout.strip() == str([str(code), "a 'b' $c"])


def test_a_command_that_is_ended_ends_what_it_runs(tmp_path: Path) -> None:
    command = running.reporting(["sleep", "60"], sys.executable, str(tmp_path / "status"))
    with started(command) as process:
        time.sleep(0.3)
        process.terminate()
        assert process.wait(timeout=5) != 0
    assert (tmp_path / "status").read_text().strip() == "143"
