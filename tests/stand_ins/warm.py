"""Our commands in a process that is a copy of one that has imported them: most of the time of a start are imports.

Everything else is as in a process of its own: arguments, environment, folder, signals, exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Read when a Python starts, so a copy would not see them.
_AT_START = ("PYTHON", "LC_", "LANG", "COVERAGE", "COV_")
COMMANDS = {
    "bundler": "main",
    "hps-bundler": "main",
    "bundle": "main_bundle",
    "publish-index": "main_publish_index",
    "submit-jobs": "main_submit_jobs",
}
_lock = threading.Lock()
_parents: list[subprocess.Popen[str]] = []


def run(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str] | None:
    """Run a command of ours; return None if only a process of its own can do that now."""
    if any(env.get(name) != os.environ.get(name) for name in env if name.startswith(_AT_START)):
        return None
    if "COV_CORE_SOURCE" in os.environ or not _lock.acquire(blocking=False):
        return None
    try:
        with (
            tempfile.TemporaryFile("w+", errors="replace") as out,
            tempfile.TemporaryFile("w+", errors="replace") as err,
        ):
            paths = [f"/proc/{os.getpid()}/fd/{stream.fileno()}" for stream in (out, err)]
            code = _ask([list(command), str(cwd), dict(env), *paths], timeout)
            for stream in (out, err):
                stream.seek(0)
            return subprocess.CompletedProcess(list(command), code, out.read(), err.read())
    finally:
        _lock.release()


def _ask(request: list[Any], timeout: float) -> int:
    """Return the exit code of a request; a command that takes longer is killed. Raises `TimeoutExpired`."""
    if not _parents:
        _parents.append(
            subprocess.Popen(
                [sys.executable, "-c", "from tests.stand_ins import warm; warm.serve()"],
                cwd=Path(__file__).parents[2],
                env={
                    name: text for name, text in os.environ.items() if not name.startswith("PYTHON")
                }
                | {"HOME": "/none"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        atexit.register(_end, _parents[0])
    (parent,) = _parents
    assert parent.stdin
    assert parent.stdout
    parent.stdin.write(json.dumps(request) + "\n")
    parent.stdin.flush()
    pid = int(parent.stdout.readline())
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        os.killpg(pid, signal.SIGKILL)

    timer = threading.Timer(timeout, expire)
    timer.start()
    code = int(parent.stdout.readline())
    timer.cancel()
    if expired.is_set():
        raise subprocess.TimeoutExpired(request[0], timeout)
    return code


def _end(parent: subprocess.Popen[str]) -> None:
    with parent:
        assert parent.stdin
        parent.stdin.close()


def serve() -> None:
    """Run requests from standard input, each in a copy of this process; write its process ID and exit code."""
    import bundler  # noqa: PLC0415 - what it serves
    import wheelhouse  # noqa: PLC0415 - what it serves

    for package in (bundler, wheelhouse):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name and "templates" not in module.name:
                with contextlib.suppress(ModuleNotFoundError):  # What only an evaluator has.
                    importlib.import_module(module.name)
    gc.freeze()
    for line in sys.stdin:
        command, cwd, env, out, err = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(command, cwd, env, out, err)
        _answer(pid)
        _answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _become(command: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Be the process that runs `command`, and end."""
    # They read HOME when they are imported.
    from ansys.hps.client.auth.api import oidc_login  # noqa: PLC0415
    from ansys.hps.client.common import token_storage  # noqa: PLC0415

    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(out, os.O_WRONLY | os.O_APPEND), 1)
        os.dup2(os.open(err, os.O_WRONLY | os.O_APPEND), 2)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(0),
            os.fdopen(1, "w"),
            os.fdopen(2, "w", errors="backslashreplace"),
        )
        os.environ.clear()
        os.environ.update(env)
        tokens = Path.home() / token_storage.TOKEN_FILE.relative_to("/none")
        token_storage.TOKEN_FILE = oidc_login.TOKEN_FILE = tokens
        os.chdir(cwd)
        sys.argv = command
        getattr(importlib.import_module("bundler.cli"), COMMANDS[Path(command[0]).name])()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as Python does at its end
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
