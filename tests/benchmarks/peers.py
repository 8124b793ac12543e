"""Bundling against every peer that can, over the real index, in turn in one run.

    python -m tests.benchmarks.peers PEERS [ROUNDS]

PEERS is the folder of a virtual environment with pex, uv-wheel-download and pip-tools (`make bench` makes one). Every
run has caches and folders of its own. Each peer does what its own documentation says, with its defaults, for as many
of the targets as it can.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from packaging.specifiers import SpecifierSet

from tests.benchmarks.bundling import BIN, CASES, Case
from wheelhouse.target import Target, parse_platform

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OLDEST = "3.10"


class RefusedError(Exception):
    """A peer could not do it."""


def run(folder: Path, *command: str | Path) -> None:
    """Run `command` with caches of its own; raise `RefusedError` with its last words if it fails."""
    caches = {
        name: str(folder / "cache" / name)
        for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "PEX_ROOT", "XDG_CACHE_HOME")
    }
    environment = {**os.environ, **caches, "BUNDLER_CACHE_DIR": str(folder / "cache" / "bundler")}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RefusedError((done.stderr or done.stdout).strip().splitlines()[-1][:70])


def project(case: Case) -> str:
    """Return a pyproject.toml that asks for what `case` does."""
    return (
        f'[project]\nname = "case"\nversion = "1"\nrequires-python = ">={OLDEST}"\n'
        f"dependencies = {json.dumps(case.requirements)}\n"
    )


def ours(case: Case, folder: Path, _: Path) -> tuple[Path, int]:
    """Bundle a script."""
    run(folder, BIN / "bundle", case.script(folder), *case.options(), "-o", "case.bundle")
    return folder / "case.bundle" / "wheels", case.count


def uv_wheel_download(case: Case, folder: Path, peers: Path) -> tuple[Path, int]:
    """Lock a project with uv, and download what the lock says, for each Python of this machine's platform."""
    (folder / "pyproject.toml").write_text(project(case))
    run(folder, BIN / "uv", "lock", "--python", sys.executable)
    done = 0
    for python in case.pythons:
        # Beside this one, where a manager of Pythons keeps them.
        managed = sorted(Path(sys.base_prefix).parent.glob(f"{python}.*/bin/python3"))
        for found in [Path(sys.executable)] if python == HERE else managed[:1]:
            run(folder, peers / "uv-wheel-download", "--python", found)
            done += 1
    return folder / "_dependencies", done


def pip_tools(case: Case, folder: Path, peers: Path) -> tuple[Path, int]:
    """Compile with hashes, and download what came out with pip; both know this Python and platform only."""
    (folder / "requirements.in").write_text("\n".join(case.requirements))
    run(folder, peers / "pip-compile", "--quiet", "--generate-hashes", "requirements.in")
    pip: list[str | Path] = [
        peers / "python",
        "-m",
        "pip",
        "download",
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    run(folder, *pip, "--requirement", "requirements.txt", "--dest", "wheels")
    return folder / "wheels", 1


def pex(case: Case, folder: Path, peers: Path) -> tuple[Path, int]:
    """Lock for all targets at once, and download the lock for each, described as pex wants targets to be."""
    platforms = list(map(parse_platform, case.platforms))
    targets = [
        Target(python=python, platform=platform)
        for python in case.pythons
        for platform in platforms
    ]
    options = []
    for target in targets:
        described = folder / f"{target.name}.json"
        markers = target.environments(SpecifierSet())[0]
        tags = list(map(str, target.tags))
        described.write_text(json.dumps({"marker_environment": markers, "compatible_tags": tags}))
        options += ["--complete-platform", str(described)]
    create: list[str | Path] = [
        peers / "pex3",
        "lock",
        "create",
        *case.requirements,
        "-o",
        "lock.json",
    ]
    if len(targets) > 1:
        constraint = f"CPython>={case.pythons[0]},<3.{int(case.pythons[-1].split('.')[1]) + 1}"
        create += ["--style", "universal", "--interpreter-constraint", constraint]
        create += [
            part for system in ("linux", "mac", "windows") for part in ("--target-system", system)
        ]
    else:
        create += options
    run(folder, *create)
    run(folder, peers / "pex3", "download", "--lock", "lock.json", "--dest-dir", "wheels", *options)
    return folder / "wheels", len(targets)


def measure(case: Case, peers: Path, rounds: int) -> None:
    """Measure `case` and print its table."""
    ways: dict[str, Callable[[Case, Path, Path], tuple[Path, int]]] = {
        "bundle": ours,
        "uv lock, uv-wheel-download": uv_wheel_download,
        "pip-compile, pip download": pip_tools,
        "pex3 lock, pex3 download": pex,
    }
    rows: dict[str, list[float]] = {}
    did: dict[str, str] = {}
    whole: dict[str, bool] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                started = time.perf_counter()
                try:
                    found, targets = way(case, Path(scratch), peers)
                except RefusedError as fault:
                    did[name], whole[name] = f"refused: {fault}", False
                    continue
                rows.setdefault(name, []).append(time.perf_counter() - started)
                did[name] = (
                    f"{len(list(found.glob('*.whl')))} wheels for {targets} of {case.count} targets"
                )
                whole[name] = targets == case.count
    medians = {name: statistics.median(seconds) for name, seconds in rows.items()}
    print(f"\n{case.name}: {', '.join(case.requirements)}, median of {rounds}")
    for name in ways:
        # Who does less than all is not compared.
        ratio = f"{medians[name] / medians['bundle']:5.2f} x ours" if whole[name] else " " * 12
        seconds = f"{medians[name]:7.2f} s" if name in medians else " " * 9
        print(f"  {name:28} {seconds}   {ratio}   {did[name]}")


def main() -> None:
    """Measure every case."""
    peers = Path(sys.argv[1]).absolute() / "bin"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    one, matrix = CASES
    for case in (replace(one, pythons=[HERE]), matrix):
        measure(case, peers, rounds)


if __name__ == "__main__":
    main()
