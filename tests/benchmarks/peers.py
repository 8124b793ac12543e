"""Bundling for this machine against every peer that can, over the real index, in turn in one run.

    python -m tests.benchmarks.peers PEERS [ROUNDS]

PEERS is the folder of a virtual environment with pex, uv-wheel-download and pip-tools (`make bench` makes one). Every
run has caches and folders of its own. Each peer does what its own documentation says, with its defaults.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
REQUIREMENTS = ["numpy", "matplotlib"]


def run(folder: Path, *command: str | Path) -> None:
    """Run `command` with caches of its own; raise `SystemExit` with its words if it fails."""
    caches = {
        name: str(folder / "cache" / name) for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "PEX_ROOT", "XDG_CACHE_HOME")
    }
    environment = {**os.environ, **caches, "BUNDLER_CACHE_DIR": str(folder / "cache" / "bundler")}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def ours(folder: Path, _: Path) -> Path:
    """Bundle a script."""
    lines = f'# /// script\n# requires-python = ">={PYTHON}"\n# dependencies = {REQUIREMENTS!r}\n# ///\n'
    (folder / "case.py").write_text(lines.replace("'", '"'))
    run(folder, BIN / "bundle", "case.py", "--python", PYTHON)
    return folder / "case.bundle" / "wheels"


def uv_wheel_download(folder: Path, peers: Path) -> Path:
    """Lock a project with uv, and download what the lock says."""
    project = (
        f'[project]\nname = "case"\nversion = "1"\nrequires-python = ">={PYTHON}"\ndependencies = {REQUIREMENTS!r}\n'
    )
    (folder / "pyproject.toml").write_text(project)
    run(folder, BIN / "uv", "lock", "--python", sys.executable)
    run(folder, peers / "uv-wheel-download", "--python", sys.executable)
    return folder / "_dependencies"


def pip_tools(folder: Path, peers: Path) -> Path:
    """Compile with hashes, and download what came out with pip."""
    (folder / "requirements.in").write_text("\n".join(REQUIREMENTS))
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
    return folder / "wheels"


def pex(folder: Path, peers: Path) -> Path:
    """Lock for this interpreter, and download the lock."""
    run(folder, peers / "pex3", "lock", "create", *REQUIREMENTS, "-o", "lock.json")
    run(folder, peers / "pex3", "download", "--lock", "lock.json", "--dest-dir", "wheels")
    return folder / "wheels"


def main() -> None:
    """Measure and print the table."""
    peers = Path(sys.argv[1]).absolute() / "bin"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    ways: dict[str, Callable[[Path, Path], Path]] = {
        "bundle": ours,
        "uv lock, uv-wheel-download": uv_wheel_download,
        "pip-compile, pip download": pip_tools,
        "pex3 lock, pex3 download": pex,
    }
    rows: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                started = time.perf_counter()
                found = way(Path(scratch), peers)
                rows.setdefault(name, []).append(time.perf_counter() - started)
                counts[name] = len(list(found.glob("*.whl")))
    medians = {name: statistics.median(seconds) for name, seconds in rows.items()}
    print(f"\nFor this machine: {', '.join(REQUIREMENTS)}, median of {rounds}")
    for name, seconds in medians.items():
        print(f"  {name:28} {seconds:7.2f} s   {seconds / medians['bundle']:5.2f} x ours   {counts[name]} wheels")


if __name__ == "__main__":
    main()
