"""Bundling against `uv lock`, `curl --parallel` and `pip download` in a loop, over the real index, in turn in one run.

    python -m tests.benchmarks.bundling [ROUNDS]

Every cold run has caches and folders of its own. Ratios hold from machine to machine and day to day, seconds do not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BIN = Path(sys.executable).parent
# Indexes that only pip is configured for would be used by us and not by uv.
NO_PIP = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_INDEX_URL": "",
    "PIP_EXTRA_INDEX_URL": "",
}
MANYLINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
LEGACY = ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
# uv's name of a platform, and what pip has to be told to mean the same.
PLATFORMS = {
    "x86_64-manylinux_2_28": [*MANYLINUX, *LEGACY, "linux_x86_64"],
    "windows": ["win_amd64"],
    "macos": ["macosx_13_0_arm64"],
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Requirements for Pythons times platforms."""

    name: str
    requirements: Sequence[str]
    pythons: Sequence[str]
    platforms: Sequence[str]

    @property
    def count(self) -> int:
        """The number of targets."""
        return len(self.pythons) * len(self.platforms)

    def script(self, folder: Path) -> Path:
        """Write the script that asks for the requirements."""
        path = folder / "case.py"
        path.write_text(
            f'# /// script\n# requires-python = ">=3.10"\n# dependencies = {json.dumps(self.requirements)}\n# ///\n'
        )
        return path

    def options(self) -> list[str]:
        """Return the options of `bundle` for the targets."""
        named = [("--python", python) for python in self.pythons] + [
            ("--platform", name) for name in self.platforms
        ]
        return [part for pair in named for part in pair]


CASES = [
    Case(
        name="1 target",
        requirements=["numpy", "matplotlib"],
        pythons=["3.12"],
        platforms=["x86_64-manylinux_2_28"],
    ),
    Case(
        name="12 targets",
        requirements=["numpy", "pydantic", "requests", "click", "rich", "jinja2", "pillow"],
        pythons=["3.10", "3.11", "3.12", "3.13"],
        platforms=list(PLATFORMS),
    ),
]


def timed(command: Sequence[str | Path], **environment: str) -> tuple[float, int]:
    """Run `command`; return wall seconds and the largest resident size, in bytes, of it and its children."""
    with tempfile.TemporaryFile() as log:
        return logged(command, log, **environment)


def logged(command: Sequence[str | Path], log: IO[bytes], **environment: str) -> tuple[float, int]:
    """Like `timed`, with the output in the file `log`."""
    started = time.perf_counter()
    words = [os.fspath(part) for part in command]
    process = subprocess.Popen(words, env={**os.environ, **environment}, stdout=log, stderr=log)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        log.seek(0)
        raise SystemExit(
            f"{command}: exit code {process.returncode}\n{log.read().decode(errors='replace')}"
        )
    return seconds, usage.ru_maxrss * 1024


def bundle(case: Case, folder: Path) -> tuple[float, int, float]:
    """Bundle `case` with caches in `folder`; return also the seconds of the download stage inside the command."""
    caches = {"BUNDLER_CACHE_DIR": str(folder / "cache"), "UV_CACHE_DIR": str(folder / "uv")}
    command: list[str | Path] = [
        BIN / "bundle",
        case.script(folder),
        *case.options(),
        "-o",
        folder / "case.bundle",
        "-v",
    ]
    with tempfile.TemporaryFile() as log:
        seconds, memory = logged(command, log, **caches, **NO_PIP)
        log.seek(0)
        stage = re.search(rb"downloads: \d+ files in ([\d.]+) s", log.read())
    return seconds, memory, float(stage[1]) if stage else 0.0


def uv_lock(case: Case, folder: Path) -> tuple[float, int]:
    """Lock `case` with uv, for all platforms, with a cache of its own in `folder`."""
    shutil.rmtree(folder / "locking", ignore_errors=True)
    (folder / "locking").mkdir()
    command: list[str | Path] = [BIN / "uv", "lock", "--script", case.script(folder / "locking")]
    return timed(command, UV_CACHE_DIR=str(folder / "uv-of-lock"), **NO_PIP)


def pip_loop(case: Case, folder: Path) -> tuple[float, int]:
    """Download `case` with pip, one target after the other, as everybody does who has only pip."""
    seconds, memory = 0.0, 0
    for python in case.pythons:
        for name in case.platforms:
            platforms = [part for tag in PLATFORMS[name] for part in ("--platform", tag)]
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
            ]
            command += [
                "--only-binary",
                ":all:",
                "--python-version",
                python,
                "--implementation",
                "cp",
                *platforms,
            ]
            command += ["--dest", str(folder / "pip"), *case.requirements]
            one, size = timed(
                command, PIP_CACHE_DIR=str(folder / "pip-cache"), PIP_CONFIG_FILE=os.devnull
            )
            seconds, memory = seconds + one, max(memory, size)
    return seconds, memory


def origins(bundled: Path) -> list[tuple[str, str, int, str]]:
    """Return file name, URL, size and digest of every wheel of a bundle."""
    files = json.loads((bundled / "manifest.json").read_bytes())["files"]
    return [
        (Path(file["path"]).name, file["origin"], file["size"], file["sha256"])
        for file in files
        if file["origin"]
    ]


def curl(wheels: Sequence[tuple[str, str, int, str]], folder: Path) -> tuple[float, int]:
    """Fetch the same URLs with curl: no resolving, no hashing."""
    config = folder / "curl.txt"
    (folder / "curl").mkdir()
    config.write_text(
        "".join(f'url = "{url}"\noutput = "{folder}/curl/{name}"\n' for name, url, _, _ in wheels)
    )
    return timed(
        ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "8", "--config", config]
    )


def in_folder(work: Callable[[Path], None]) -> None:
    """Do `work` in a fresh folder that is removed afterwards, outside of any timing."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        work(folder)
    finally:
        shutil.rmtree(folder)


def measure(case: Case, rounds: int) -> None:
    """Measure `case` and print its table."""
    rows: dict[str, list[float]] = {}
    memory: dict[str, int] = {}
    size, count = 0, 0

    def note(name: str, result: tuple[float, int]) -> None:
        rows.setdefault(name, []).append(result[0])
        memory[name] = max(memory.get(name, 0), result[1])

    def one_round(folder: Path) -> None:
        nonlocal size, count
        seconds, peak, stage = bundle(case, folder)
        note("bundle", (seconds, peak))
        note("its download stage", (stage, 0))
        note("uv lock", uv_lock(case, folder))
        note("pip loop", pip_loop(case, folder))
        wheels = origins(folder / "case.bundle")
        size, count = sum(wheel[2] for wheel in wheels), len(wheels)
        note("curl --parallel", curl(wheels, folder))
        shutil.rmtree(folder / "case.bundle")
        note("bundle, warm caches", bundle(case, folder)[:2])
        note("uv lock, warm cache", uv_lock(case, folder))
        note("bundle again", bundle(case, folder)[:2])
        note("pip loop again", pip_loop(case, folder))

    for _ in range(rounds):
        in_folder(one_round)
    medians = {name: statistics.median(seconds) for name, seconds in rows.items()}
    print(
        f"\n{case.name}: {', '.join(case.requirements)}; {count} wheels, {size / 1e6:.0f} MB, median of {rounds}"
    )
    for name, seconds in medians.items():
        peak = f"{memory[name] / 1e6:7.0f} MB at most" if memory[name] else ""
        print(f"  {name:20} {seconds:8.2f} s {peak}")
    for words, peer, ours in (
        ("faster than the pip loop", "pip loop", "bundle"),
        ("faster than the pip loop with nothing to do", "pip loop again", "bundle again"),
    ):
        print(f"  {medians[peer] / medians[ours]:8.1f} x {words}")
    print(
        f"  {medians['its download stage'] / medians['curl --parallel']:8.2f} x the time of curl in the download stage"
    )
    goal = medians["uv lock"] + (
        1.5 * medians["curl --parallel"] + 0.8
        if case.count > 1
        else medians["curl --parallel"] + 0.35
    )
    print(
        f"  {medians['bundle'] / goal:8.2f} x the goal of {goal:.2f} s, from the times of uv lock and curl"
    )
    if case.count == 1:
        goal = medians["uv lock, warm cache"] + 0.35
        print(
            f"  {medians['bundle, warm caches'] / goal:8.2f} x the goal of {goal:.2f} s with warm caches"
        )


def main() -> None:
    """Measure every case."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for case in CASES:
        measure(case, rounds)


if __name__ == "__main__":
    main()
