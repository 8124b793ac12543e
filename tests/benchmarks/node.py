"""A job's start on a node, by strategy, against bare uv, pip and the environment's own Python, in turn in one run.

    python -m tests.benchmarks.node [ROUNDS]

The script that is started does nothing. Of the execution script its own work is counted, with the start of uv and
Python, and not the evaluator's. Each cold start has a cache of its own; ratios hold from machine to machine, seconds
do not.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TEMPLATES = Path(__file__).parents[2] / "bundler" / "templates"
STRATEGIES = ("index", "cache", "environment")
AT_ONCE = 32
SCRIPT = f'# /// script\n# requires-python = ">={PYTHON}"\n# dependencies = ["numpy", "matplotlib"]\n# ///\n'
# Loads an execution script as an evaluator does and prints the seconds that its `execute` took.
DRIVER = """
import importlib.util, json, logging, os, sys, time, types
sys.path.insert(0, {templates!r})
import evaluator
evaluator.provide_modules(logging.getLogger())
spec = importlib.util.spec_from_file_location("exec_script", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
context = types.SimpleNamespace(**json.loads(sys.argv[2]))
execution = module.PublishedScript(context)
os.chdir(sys.argv[3])
started = time.perf_counter()
execution.execute()
print("SECONDS", time.perf_counter() - started)
"""


class Node:
    """A node with a cache of its own in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / f"node-{name}"
        self.cache = self.folder / "cache"
        self.cache.mkdir(parents=True)

    def start(self, publication: Path, number: int = 0) -> subprocess.Popen[str]:
        """Start one job."""
        task = self.folder / f"task-{number}-{time.monotonic_ns()}"
        task.mkdir()
        context = {
            "software": [{"name": "uv", "executable": str(BIN / "uv")}],
            "environment": {"UV_CACHE_DIR": str(self.cache)},
            "parameter_values": {},
            "failure": "raise",
        }
        command = [sys.executable, "-c", DRIVER.format(templates=str(TEMPLATES))]
        command += [str(publication / "exec_script.py"), json.dumps(context), str(task)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=task
        )

    def job(self, publication: Path) -> float:
        """Run one job; return the seconds of its execution script."""
        with self.start(publication) as process:
            out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(out)
        return float(out.rpartition("SECONDS ")[2])


def timed(command: list[str], **environment: str) -> float:
    """Run `command`; return the wall seconds."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - started


def bare(publication: Path, cache: Path) -> float:
    """Start the published script with uv alone, by the command that the execution script uses."""
    script = next(publication.glob("targets/*/*/case.py"))
    command = [str(BIN / "uv"), "run", "--offline", "--frozen", "--no-config", "--no-index"]
    command += [
        "--find-links",
        str(publication / "wheels"),
        "--python",
        sys.executable,
        "--script",
        str(script),
    ]
    return timed(command, UV_CACHE_DIR=str(cache))


def pip(publication: Path, folder: Path) -> float:
    """Make an environment with pip and start the script in it, as one does without uv."""
    target = next(publication.glob("targets/*/case"))
    seconds = timed([sys.executable, "-m", "venv", str(folder)])
    python = str(folder / "bin" / "python")
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    index = ["--index-url", (target / "simple").as_uri(), "numpy", "matplotlib"]
    seconds += timed([*install, *index], PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="")
    return seconds + timed([python, str(target / "case.py")])


def crowd(node_of: list[Node], publication: Path) -> tuple[float, int]:
    """Start a job on each of `node_of` at once; return the seconds until all have ended, and how many failed."""
    started = time.perf_counter()
    jobs = [node.start(publication, number) for number, node in enumerate(node_of)]
    failed = 0
    for job in jobs:
        job.communicate()
        failed += job.returncode != 0
    return time.perf_counter() - started, failed


def without_environments(node: Node) -> None:
    """Take the environments out of the cache of `node`, and leave the wheels."""
    for folder in node.folder.rglob("environments-v*"):
        shutil.rmtree(folder)


def measure(folder: Path, publications: dict[str, Path], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way to start, `rounds` times in turn."""
    rows: dict[str, list[float]] = {}
    for number in range(rounds):
        for strategy, publication in publications.items():
            node = Node(folder, f"{strategy}-{number}")
            rows.setdefault(f"{strategy}: cold", []).append(node.job(publication))
            if strategy != "environment":
                without_environments(node)
                rows.setdefault(f"{strategy}: warm cache", []).append(node.job(publication))
            for _ in range(5):
                rows.setdefault(f"{strategy}: warm", []).append(node.job(publication))
                if strategy == "index":
                    rows.setdefault("bare uv run: warm", []).append(bare(publication, node.cache))
            if strategy == "index":
                cache = folder / f"bare-{number}"
                rows.setdefault("bare uv run: cold", []).append(bare(publication, cache))
                environment = next(cache.glob("environments-v*/*/bin/python"))
                for _ in range(5):
                    own = timed(
                        [str(environment), str(next(publication.glob("targets/*/*/case.py")))]
                    )
                    rows.setdefault("the environment's own python", []).append(own)
                rows.setdefault("pip into a fresh venv", []).append(
                    pip(publication, folder / f"pip-{number}")
                )
    return rows


def main() -> None:
    """Publish by each strategy, measure, and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        (folder / "case.py").write_text(SCRIPT)
        subprocess.run(
            [BIN / "bundler", "pack-python", sys.executable, folder / "mirror"],
            check=True,
            capture_output=True,
        )
        bundle = [
            str(BIN / "bundle"),
            str(folder / "case.py"),
            "-o",
            str(folder / "case.bundle"),
            "--python",
            PYTHON,
        ]
        subprocess.run(
            [*bundle, "--python-mirror", str(folder / "mirror")], check=True, capture_output=True
        )
        publications = {}
        for strategy in STRATEGIES:
            places = [str(folder / "share"), str(folder / "case.bundle")]
            command = [str(BIN / "publish-index"), *places, "--strategy", strategy]
            publications[strategy] = Path(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            )
        rows = measure(folder, publications, rounds)
        medians = {name: statistics.median(seconds) for name, seconds in rows.items()}
        print(
            f"\nStart of an empty script that needs numpy and matplotlib, seconds, median of {rounds} cold starts"
        )
        for name in sorted(medians):
            print(f"  {name:32} {medians[name]:8.3f}")
        print(
            f"  {medians['index: warm'] / medians['bare uv run: warm']:8.2f} x bare uv run, warm start by the index"
        )
        print(
            f"  {medians['pip into a fresh venv'] / medians['index: cold']:8.1f} x faster than pip, cold start"
        )
        shared, failed = crowd([Node(folder, "crowd")] * AT_ONCE, publications["index"])
        private, _ = crowd(
            [Node(folder, f"alone-{number}") for number in range(AT_ONCE)], publications["index"]
        )
        print(
            f"  {AT_ONCE} cold starts at once: {shared:.1f} s, {failed} failed; {private:.1f} s with private caches"
        )
        print(f"  {private / shared:8.1f} x faster than with private caches")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
