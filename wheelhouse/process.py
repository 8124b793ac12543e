"""The one door to other programs, which never outlive the command that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

# A git hook tells its children of the repository that it runs in, and git would follow that anywhere.
_OF_A_REPOSITORY = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
)
_running: set[subprocess.Popen[bytes]] = set()


@contextlib.contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of `count` threads; when the block fails or is interrupted, the programs they wait for are ended."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(_running):
            process.terminate()
        raise
    finally:
        pool.shutdown()


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> tuple[int, str, str]:
    """Run `command` to its end, with `env` added to this environment; return exit code, standard output and error.

    After `timeout` seconds it is ended, which is a failure like any other.
    """
    with subprocess.Popen(
        [os.fspath(part) for part in command],
        cwd=cwd,
        env={**{name: text for name, text in os.environ.items() if name not in _OF_A_REPOSITORY}, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        _running.add(process)
        try:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            _running.discard(process)
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def lines(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> Generator[str, None, int]:
    """Run `command` in exactly the environment `env`; yield its output line by line, return its exit code.

    Whoever stops listening ends it, and with it all that it started.
    """
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
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                yield line.rstrip("\n")
        except BaseException:
            if sys.platform == "win32":
                process.kill()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode
