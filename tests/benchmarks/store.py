"""An index of many wheels, full and with one more, against the tools that write static indexes.

    python -m tests.benchmarks.store PEERS [COUNT[:KB]...]

PEERS is the folder of a virtual environment with dumb-pypi, python-pypi-mirror, pip2pi and simple-repository-generator
(`make bench` makes one).
Wheels have KB kilobytes, by default less than one. Every run has fresh folders. The floor is reading and hashing each
wheel and its METADATA, and a stat of each.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from tests.benchmarks.archives import timed
from tests.benchmarks.bundling import BIN
from tests.stand_ins.wheels import make_wheel

# Wheels of one project.
_VERSIONS = 10


def make_wheels(folder: Path, count: int, size: int) -> None:
    """Write `count` wheels with `size` bytes of random data to `folder`, ten versions of each project."""
    folder.mkdir()
    for number in range(count):
        files = {"data": random.Random(number).randbytes(size)}  # noqa: S311 - the same wheels in every run
        name, data = make_wheel(
            f"project-{number // _VERSIONS:05}", f"1.{number % _VERSIONS}", files=files
        )
        (folder / name).write_bytes(data)


def floor(folder: Path) -> tuple[float, float]:
    """Return the seconds for hashing every wheel and reading its METADATA, and for a stat of each."""
    started = time.perf_counter()
    for path in folder.iterdir():
        hashlib.sha256(path.read_bytes()).hexdigest()
        with zipfile.ZipFile(path) as archive:
            archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA")))
    read = time.perf_counter() - started
    started = time.perf_counter()
    for path in folder.iterdir():
        path.stat()
    return read, time.perf_counter() - started


def packages_json(folder: Path, path: Path) -> None:
    """Write the list of packages that dumb-pypi reads, with hashes."""
    lines = [
        json.dumps(
            {
                "filename": wheel.name,
                "hash": f"sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}",
            }
        )
        for wheel in folder.iterdir()
    ]
    path.write_text("\n".join(lines))


def ways(peers: Path) -> dict[str, str]:
    """Return the command of each tool that writes the index of the folder `wheels`."""
    listed = "--package-list-json packages.json --packages-url ../../pool"
    return {
        "bundler": f"{BIN}/publish-index store $NEW -q",
        "dumb-pypi": f"{peers}/bin/dumb-pypi {listed} --output-dir o1",
        "python-pypi-mirror": f"{peers}/bin/pypi-mirror create -d wheels -m o2",
        "dir2pi": f"{peers}/bin/dir2pi -S wheels",
        "simple-repository-generator": f"{peers}/bin/simple-repository-generator wheels --copy --force -o o4",
    }


def measure(peers: Path, wheels: Path, scratch: Path) -> list[tuple[str, float, float, float]]:
    """Return (tool, seconds for all `wheels`, for one more, largest memory in bytes of the first)."""
    rows: list[tuple[str, float, float, float]] = []
    for tool, command in ways(peers).items():
        folder = scratch / tool
        folder.mkdir()
        shutil.copytree(wheels, folder / "wheels", copy_function=os.link)
        (folder / "one").mkdir()
        name, data = make_wheel("project-00000", "2.0")
        (folder / "one" / name).write_bytes(data)
        if tool == "dumb-pypi":
            packages_json(folder / "wheels", folder / "packages.json")
        subprocess.run(["sync"], check=True)
        full, memory = timed(command.replace("$NEW", "wheels"), folder)
        shutil.copy(folder / "one" / name, folder / "wheels")
        if tool == "dumb-pypi":
            packages_json(folder / "wheels", folder / "packages.json")
        rows.append((tool, full, timed(command.replace("$NEW", "one"), folder)[0], memory))
        shutil.rmtree(folder)
    return rows


def main(peers: Path, sizes: list[str]) -> None:
    """Print a table for each of `sizes`."""
    for text in sizes:
        count, _, kilobytes = text.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            make_wheels(scratch / "floor", int(count), int(kilobytes or 0) * 1000)
            floor(scratch / "floor")
            read, stat = floor(scratch / "floor")
            rows = measure(peers, scratch / "floor", scratch)
        print(
            f"{count} wheels of {kilobytes or 'less than 1'} kB: hash and METADATA {read:.2f} s, stat {stat:.2f} s"
        )
        print(f"{'':28} {'all':>8} {'/ floor':>8} {'one more':>9} {'memory':>9}")
        for tool, full, more, memory in rows:
            print(
                f"{tool:28} {full:6.2f} s {full / read:8.2f} {more:7.2f} s {memory / 1e6:6.0f} MB"
            )
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:] or ["2000", "20000", "2000:300"])
