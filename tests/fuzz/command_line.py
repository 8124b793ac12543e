"""Calls every command with odd values for its arguments and options, and looks for tracebacks and endless runs.

    python -m tests.fuzz.command_line [--calls N] [--seed N]

Needs no network: every index and server is a closed port of this machine. Prints the calls that failed; the exit code
is 1 if there are any. The same seed gives the same calls.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from bundler.cli import main as run, programs
from tests.stand_ins.wheels import make_wheel

CALLS = 5_000
# Seconds for one call.
_PATIENCE = 60.0
_WORKERS = 4
_CLOSED = "http://127.0.0.1:9"
_SURROUNDINGS = {
    "UV_DEFAULT_INDEX": f"{_CLOSED}/simple",
    "UV_PYTHON_INSTALL_MIRROR": _CLOSED,
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_HTTP_RETRIES": "0",
    "HPS_URL": f"{_CLOSED}/hps",
    "HPS_USERNAME": "nobody",
    "NO_PROXY": "127.0.0.1",
}
_PLACES = (
    *(
        "eval.py",
        "eval.bundle",
        "eval.bundle/manifest.json",
        "eval.bundle/wheels",
        "eval.tar",
        "store",
        "publication",
    ),
    *(
        "store/publications",
        "nowhere",
        "nowhere/deeper",
        "eval.py/below",
        "folder",
        "pipe",
        "zero",
        "loop",
        "loop/x",
    ),
    *(
        "latin.py",
        "empty",
        "binary",
        "folder.csv",
        "d/" * 2000 + "x",
        "a" * 300,
        "caf\udce9.py",
        ".",
        "./",
        "-",
    ),
)
_WORDS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1e999",
        "nan",
        "9" * 40,
        "0.0 d",
        "1 d",
        "3.11",
        "3.99",
        "=",
        "a=b",
        "a=",
        "=b",
        "[",
        "\\",
    ),
    *(
        "\x1b[2J",
        "\u202e",
        "\udcff",
        "x" * 5000,
        "${HOME}",
        "%s",
        "*",
        "**",
        "eval.py:a=1",
        "[]",
        "{}",
        "ms",
        "\n",
    ),
)


def commands() -> list[tuple[list[str], click.Command]]:
    """Return every command with its words."""
    return [*_below(["bundler"], programs.bundler)]


def _below(words: list[str], command: click.Command) -> Iterator[tuple[list[str], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child
            yield from _below([*words, name], child)


def a_call(chance: random.Random) -> list[str]:
    """Return the words of a random call."""
    words, command = chance.choice(commands())
    result = [*words]
    for parameter in command.params:
        is_argument = isinstance(parameter, click.Argument)
        if chance.random() > (0.9 if is_argument else 0.25):
            continue
        for _ in range(
            chance.choice([1, 1, 1, 2]) if parameter.multiple or parameter.nargs == -1 else 1
        ):
            if not is_argument:
                result.append(chance.choice(parameter.opts))
            if is_argument or not getattr(parameter, "is_flag", False):
                result.append(_value(parameter, chance))
    return result


def _value(parameter: click.Parameter, chance: random.Random) -> str:
    if isinstance(parameter.type, click.Choice) and chance.random() < 0.7:
        return str(chance.choice(list(parameter.type.choices)))
    mostly = _PLACES if isinstance(parameter.type, click.Path) else _WORDS
    return chance.choice(mostly if chance.random() < 0.8 else _PLACES + _WORDS)


def prepare(folder: Path) -> None:
    """Fill `folder` with good and odd files."""
    name, data = make_wheel("alpha")
    (folder / "wheels").mkdir()
    (folder / "wheels" / name).write_bytes(data)
    block = "# /// script\n# requires-python = '>=3.10'\n# dependencies = ['alpha']\n# [tool.uv]\n"
    block += f"# no-index = true\n# find-links = ['{folder}/wheels']\n# ///\nimport alpha\n"
    (folder / "eval.py").write_text(block)
    run = [sys.executable, "-m", "bundler"]
    subprocess.run([*run, "bundle", "eval.py"], cwd=folder, check=True, capture_output=True)
    subprocess.run(
        [*run, "pack", "eval.bundle", "-o", "eval.tar"], cwd=folder, check=True, capture_output=True
    )
    published = subprocess.run(
        [*run, "publish-index", "store", "eval.bundle"], cwd=folder, check=True, capture_output=True
    )
    (folder / "publication").symlink_to(published.stdout.decode().strip())
    (folder / "folder").mkdir()
    (folder / "folder.csv").mkdir()
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "latin.py").write_bytes(b"# caf\xe9\n")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    if os.geteuid() == 0:  # A device of our own, which no fault can harm.
        os.mknod(folder / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    else:
        (folder / "zero").symlink_to("/dev/zero")


def problem(words: list[str], template: Path, place: Path) -> str:
    """Run the call `words` in `place`, a copy of `template`; return what went wrong, or nothing."""
    for name in ("eval.py", "eval.bundle", "eval.tar", "publication", "pipe", "zero", "loop"):
        if not os.path.lexists(place / name):
            shutil.rmtree(place)
            subprocess.run(["cp", "-a", template, place], check=True)
            break
    errors = place.with_suffix(".err")
    child = os.fork()
    if child == 0:
        _be_called(words, place, errors)
    began = time.monotonic()
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        if time.monotonic() - began > _PATIENCE:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "did not end"
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = errors.read_text(errors="replace")
    if "Traceback" in text or "Exception ignored" in text or code not in (0, 1, 2):
        return f"exit code {code}\n{text[-3000:]}"
    return (
        ""
        if code == 0 or "rror" in text or "Usage" in text
        else f"exit code {code} without a message: {text[-500:]}"
    )


def _be_called(words: list[str], place: Path, errors: Path) -> None:
    """Become the command; never returns."""
    try:
        os.setsid()
        os.chdir(place)
        os.environ.update(_SURROUNDINGS, HOME=str(place), TMPDIR=str(place))
        null = os.open(os.devnull, os.O_RDWR)
        error = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number, descriptor in enumerate((null, null, error)):
            os.dup2(descriptor, number)
        sys.argv = words
        run()
    except SystemExit as exit_:
        sys.stderr.flush()
        os._exit(int(exit_.code or 0) if not isinstance(exit_.code, str) else 1)
    except BaseException:  # noqa: BLE001 - what it finds
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(99)


def _work(number: int, seed: int, calls: int) -> int:
    """Make every call of the worker `number`; return how many of them failed."""
    chance = random.Random(seed * 1000 + number)  # noqa: S311 - no secret
    failed = 0
    with tempfile.TemporaryDirectory(prefix="calls-") as folder:
        template, place = Path(folder, "template"), Path(folder, "place")
        template.mkdir()
        prepare(template)
        subprocess.run(["cp", "-a", template, place], check=True)
        for _ in range(calls):
            words = a_call(chance)
            if fault := problem(words, template, place):
                failed += 1
                print(f"{words!r}: {fault}", flush=True)
    return failed


def main() -> int:
    """Make random calls in several processes; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.command_line")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        return min(_work(given.worker, given.seed, given.calls), 1)
    share = -(-given.calls // _WORKERS)
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.command_line",
        "--calls",
        str(share),
        "--seed",
        str(given.seed),
    ]
    began = time.monotonic()

    def start(number: int) -> int:
        return subprocess.run([*command, "--worker", str(number)], check=False).returncode

    with ThreadPoolExecutor(_WORKERS) as pool:
        codes = [*pool.map(start, range(_WORKERS))]
    print(
        f"{share * _WORKERS} calls in {time.monotonic() - began:.0f} s, {'FAILED' if any(codes) else 'all explained'}"
    )
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
