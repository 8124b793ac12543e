"""Run other programs, which never outlive the command that started them; no other module does."""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from wheelhouse.errors import redacted

_logger = logging.getLogger(__name__)
# A git hook passes its repository on to child processes, and git would use that one everywhere.
_OF_A_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
)
CalledProcessError = subprocess.CalledProcessError
_CHUNK = 1 << 16
# Bytes to keep from the beginning and the end of an output; a lock with thousands of packages has a few million.
_KEPT = 64 << 20
# Seconds to wait for the last output of a program that has ended.
_GRACE = 5.0
_running: set[subprocess.Popen[bytes]] = set()


@contextlib.contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of `count` threads; if the block fails or is interrupted, the programs they wait for are killed."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(_running):
            _end(process)
        raise
    finally:
        pool.shutdown()


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherited: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: Path | None = None,
) -> tuple[int, str, str]:
    """Run `command` and return its exit code, standard output and standard error.

    It reads the file `stdin`, or nothing. Its environment variables are `inherited` (by default those of this process),
    then `env`. After `timeout` seconds it is killed, which counts as a failure. Child processes that it left are
    killed. The middle of a long output is dropped.
    """
    own = os.environ if inherited is None else inherited
    variables = {name: text for name, text in own.items() if name not in _OF_A_REPOSITORY}
    variables.update(env or {})
    _logger.debug("%s", _shown(command))
    with (
        open(stdin or os.devnull, "rb") as source,  # noqa: PTH123 - the null device has another path on Windows
        subprocess.Popen(
            [os.fspath(part) for part in command],
            cwd=cwd,
            env=variables,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        ) as process,
    ):
        _running.add(process)
        out = _Output(process.stdout)
        err = _Output(process.stderr)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout)
        finally:
            # Also after a regular exit, since a daemon could hold the pipes open.
            _end(process)
            _running.discard(process)
        return process.wait(), out.text(), err.text()


def attended(command: Sequence[str | Path]) -> int:
    """Run `command`, which may ask on the terminal, and return its exit code; its output goes to standard error."""
    _logger.debug("%s", _shown(command))
    words = [os.fspath(part) for part in command]
    return subprocess.run(words, stdout=sys.stderr, check=False).returncode


def _shown(command: Sequence[str | Path]) -> str:
    """Return `command` for a log: the program without its folder, and no secrets in URLs."""
    program, *rest = [os.fspath(part) for part in command]
    words = [os.path.basename(program), *rest]  # noqa: PTH119 - of any system
    return redacted(shlex.join(words))


class _Output:
    """The beginning and end of the output of a program, read while it runs."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe
        self._first, self._last = bytearray(), bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # The main thread closed it.
            while self._pipe and (chunk := self._pipe.read(_CHUNK)):
                room = _KEPT - len(self._first)
                self._first += chunk[:room]
                self._last += chunk[room:]
                del self._last[:-_KEPT]

    def text(self) -> str:
        """Return the output until the program ended."""
        self._reader.join(_GRACE)
        return (self._first + self._last).decode(errors="replace")


def checked(
    command: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    inherited: Mapping[str, str],
) -> None:
    """Like `run`, but raise `CalledProcessError` with both outputs if the program fails."""
    code, out, err = run(command, cwd=cwd, env=env, inherited=inherited)
    if code:
        raise CalledProcessError(code, list(command), out, err)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill `process` and everything that it started in its session."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def run_shown(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    show: Callable[[str], None],
) -> int:
    """Run `command` with exactly the environment variables `env`; `show` each line of its output, return its exit code.

    When it has ended, the processes that it left are killed. Nobody waits for processes that cannot be reached. If
    `show` fails or is interrupted, the program and everything that it started are killed.
    """
    with subprocess.Popen(
        [os.fspath(part) for part in command],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
    ) as process:
        printed: SimpleQueue[str | None] = SimpleQueue()
        reader = threading.Thread(target=_read_lines, args=[process.stdout, printed], daemon=True)
        reader.start()
        threading.Thread(target=_end_reading, args=[process, reader, printed], daemon=True).start()
        try:
            for line in iter(printed.get, None):
                show(line)
        finally:
            _end(process)
    return process.returncode


def _read_lines(pipe: IO[bytes] | None, printed: SimpleQueue[str | None]) -> None:
    """Put each line from `pipe` into `printed`, and None at the end."""
    utf_8 = codecs.getincrementaldecoder("utf-8")("replace")
    decoder = io.IncrementalNewlineDecoder(utf_8, translate=True)
    rest = ""
    with contextlib.suppress(OSError, ValueError):  # The main thread closed it.
        while pipe and (chunk := pipe.read(_CHUNK)):
            text = rest + decoder.decode(chunk)
            *lines, rest = text.split("\n")
            for line in lines:
                printed.put(line)
    if rest:
        printed.put(rest)
    printed.put(None)


def _end_reading(
    process: subprocess.Popen[bytes],
    reader: threading.Thread,
    printed: SimpleQueue[str | None],
) -> None:
    """Wait for `process`, kill what it left, and end the reading even if a daemon keeps its output open."""
    process.wait()
    _end(process)
    reader.join(_GRACE)
    printed.put(None)
