from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from wheelhouse import process


def alive(pid: int) -> bool:
    return (
        Path(f"/proc/{pid}/stat").exists()
        and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    )


def test_output_and_exit_code_come_back(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import os, sys; print(os.environ['X']); sys.stderr.write('e'); sys.exit(3)",
    ]
    assert process.run(command, cwd=tmp_path, env={"X": "1"}) == (3, "1\n", "e")


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    command = [sys.executable, "-uc", "import time; print('a'); time.sleep(3); print('b')"]
    started = time.monotonic()
    shown: list[tuple[str, bool]] = []

    def show(line: str) -> None:
        shown.append((line, time.monotonic() - started < 3))

    assert process.run_shown(command, cwd=tmp_path, env=dict(os.environ), show=show) == 0
    assert shown == [("a", True), ("b", False)]


def test_who_stops_listening_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    children: list[int] = []

    def stop(line: str) -> None:
        children.append(int(line))
        assert alive(children[0])
        raise KeyboardInterrupt

    command = ["sh", "-c", "sleep 60 & echo $!; wait"]
    with pytest.raises(KeyboardInterrupt):
        process.run_shown(command, cwd=tmp_path, env=dict(os.environ), show=stop)
    (child,) = children
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def test_an_interrupted_block_does_not_wait_for_its_programs() -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), process.workers(2) as pool:
        pool.submit(process.run, ["sleep", "60"])
        while not process._running:  # noqa: SLF001 - the moment to interrupt
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert time.monotonic() - started < 5
