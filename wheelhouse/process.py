"""The one door to other programs."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run `command` to its end, with `env` added to this environment; return exit code, standard output and error."""
    done = subprocess.run(
        [os.fspath(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def lines(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> Generator[str, None, int]:
    """Run `command` in exactly the environment `env`; yield its output line by line, return its exit code."""
    with subprocess.Popen(
        [os.fspath(part) for part in command],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                yield line.rstrip("\n")
        except BaseException:
            process.terminate()
            raise
    return process.returncode
