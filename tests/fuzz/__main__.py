"""Fuzzes all targets, or those that are named, and keeps the inputs that lead where no other does.

    python -m tests.fuzz [--runs N] [TARGET]...

An input that does harm is left in build/fuzz/TARGET, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.seeds import keep, seeds
from tests.fuzz.targets import TARGETS

_PLACE = Path("build", "fuzz")
_RUNS = 10_000
# Seconds for one input, and megabytes for a process: more is a read or a loop without bounds.
_BOUNDS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"]


def fuzz(target: str, runs: int) -> tuple[str, bool]:
    """Fuzz `target` with `runs` inputs; return a line of the table, and whether all went well."""
    place = _PLACE / target
    shutil.rmtree(place, ignore_errors=True)
    corpus, merged = place / "corpus", place / "merged"
    for folder in (corpus, merged):
        folder.mkdir(parents=True)
    for data in seeds(target):
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
    begun = time.monotonic()
    done = _run(place, target, f"-runs={runs}", f"-artifact_prefix={place}/", corpus)
    took = time.monotonic() - begun
    if done:
        keep(target, [*seeds(target), *(path.read_bytes() for path in place.glob("crash-*"))])
        return f"{target:20} FAILED, see {place}", False
    _run(place, target, "-merge=1", merged, corpus)
    kept = keep(target, [path.read_bytes() for path in merged.iterdir()])
    return f"{target:20} {runs:8} inputs {took:6.0f} s {kept:5} seeds kept", True


def _run(place: Path, target: str, *options: str | Path) -> int:
    with (place / "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "tests.fuzz.one", target, *_BOUNDS, *map(str, options)]
        return subprocess.run(command, stdout=log, stderr=log, check=False).returncode


def main() -> int:
    """Fuzz what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--runs", type=int, default=_RUNS, help="inputs for each target")
    given = parser.parse_args()
    with ThreadPoolExecutor(2) as pool:
        ended = [pool.submit(fuzz, target, given.runs) for target in given.targets or TARGETS]
        for future in ended:
            print(future.result()[0], flush=True)
    whole = all(future.result()[1] for future in ended)
    print(f"{len(ended) * given.runs} inputs in all" if whole else "harm was done")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
