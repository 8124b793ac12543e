"""Rehearse a job: run it on this machine as an evaluator would, without network access."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from bundler.errors import BundlerError, JobError
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from wheelhouse import process, uv
from wheelhouse.errors import WheelhouseError
from wheelhouse.files import LARGEST_INPUT, explained, make_folder, read_plain

_CONTEXT = "context.json"
# Files that the execution script writes before the script runs.
_WRITTEN = ("input_parameters.json", "context.json")
# Enables loopback in a new namespace, since scripts may use it, and then executes the command.
_WITH_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    fcntl.ioctl(probe, 0x8914, struct.pack("16sH14s", b"lo", 1, b""))  # SIOCSIFFLAGS, IFF_UP
os.execv(sys.argv[1], sys.argv[1:])
"""
# Without a namespace: a proxy that does not exist (port 9 is "discard").
_DEAD_PROXY = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How network access is prevented: `prefix` of the command and additional environment variables."""

    sentence: str
    prefix: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


def isolation() -> Isolation:
    """Return the strongest isolation from the network that this system supports."""
    unshare = shutil.which("unshare")
    if unshare and process.run([unshare, "-rn", "true"])[0] == 0:
        return Isolation(
            sentence="The job runs without network access, in its own network namespace.",
            prefix=(unshare, "-rn", sys.executable, "-I", "-c", _WITH_LOOPBACK),
        )
    proxies = tuple((name, _DEAD_PROXY) for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))
    return Isolation(
        sentence="warning: this system does not support network namespaces. uv runs offline and proxies are disabled, "
        "but the script itself can access the network.",
        environment=tuple((spelling, value) for name, value in proxies for spelling in (name, name.lower())),
    )


def rehearse(
    publication: Path, submission: Submission, folder: Path, *, how: Isolation, show: Callable[[str], None]
) -> list[Path]:
    """Run the job of `submission` in the empty folder `folder` with an empty uv cache, one step after the other.

    Calls `show` for each line of the console output; returns the files that the job wrote. Raises `BundlerError`,
    `JobError`.
    """
    with explained(folder):
        make_folder(folder)
        if any(folder.iterdir()):
            raise BundlerError(
                f"{folder} is not empty, but a job starts in an empty folder", hint="choose another --output"
            )
        inputs = {**submission.files, **submission.jobs[0].files}
        for name, path in inputs.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
    parameters = submission.jobs[0].values
    values: dict[str, object] = dict(parameters)
    with tempfile.TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as scratch:
        for step in submission.steps:
            code = _run(publication, step, values, folder, Path(scratch), how, show)
            values = _values(Path(scratch))
            if code:
                break
    outputs = {name: value for name, value in values.items() if name not in parameters or parameters[name] != value}
    if outputs:
        show(f"Output parameters: {json.dumps(outputs)}")
    if code:
        raise JobError(f"{publication.name}: the job failed", hint="read its console output above")
    _require_results(publication, submission, folder, values)
    ignored = {*_WRITTEN, *inputs}
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).as_posix() not in ignored
    )


def _run(
    publication: Path,
    step: Step,
    values: Mapping[str, object],
    folder: Path,
    scratch: Path,
    how: Isolation,
    show: Callable[[str], None],
) -> int:
    """Run one step with the parameters `values`; return the exit code of the evaluator."""
    temporary = scratch / "tmp"  # Separate, so that leftovers of the job are deleted.
    temporary.mkdir(exist_ok=True)
    environment = {
        **step.environment,
        "UV_CACHE_DIR": str(scratch / "uv-cache"),
        "BUNDLER_PUBLICATION": str(publication.absolute()),
    }
    context = scratch / _CONTEXT
    context.write_text(json.dumps(_context(step, environment, values)), encoding="utf-8")
    with as_file(files("bundler").joinpath("templates/evaluator.py")) as evaluator:
        exec_script = publication.absolute() / EXEC_SCRIPT
        command: list[str | Path] = [*how.prefix, sys.executable, evaluator, exec_script, context]
        inherited = {**os.environ, **dict(how.environment), "PYTHONDONTWRITEBYTECODE": "1"}
        inherited |= dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))
        return process.run_shown(command, cwd=folder, env=inherited, show=show)


def _values(scratch: Path) -> dict[str, object]:
    """Return the parameters after a step."""
    path = scratch / "parameter_values.json"
    return dict(json.loads(read_plain(path, LARGEST_INPUT))) if path.is_file() else {}


def _require_results(publication: Path, submission: Submission, folder: Path, values: Mapping[str, object]) -> None:
    """Raise `JobError` if the job did not write something that its scripts declare; HPS would fail it."""
    missing = [name for step in submission.steps for name in step.outputs if not _is_there(folder, name)]
    missing += [
        f"output parameter {parameter.name}"
        for parameter in submission.output_parameters
        if parameter.name not in values
    ]
    if missing:
        raise JobError(
            f"{publication.name}: the job did not write {', '.join(missing)}, so it would fail on HPS",
            hint="fix the script, or its outputs in [tool.bundler]",
        )


def _is_there(folder: Path, output: str) -> bool:
    """Return whether the file `output` is in `folder`; like HPS, `output` may contain wildcards."""
    if not set(output) & set("*?["):
        return (folder / output).is_file()
    pattern = wildcards(output)
    return any(pattern.fullmatch(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())


def wildcards(output: str) -> re.Pattern[str]:
    """Return the expression for a path with wildcards, in which `**` also stands for folders, as in `**.png`."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", output)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            expression += re.escape(part)
        elif part in meanings:
            expression += meanings[part]
        else:
            # Without the end that it adds; `[` in a set would be a warning of `re`.
            expression += fnmatch.translate(part).rpartition(")")[0].removeprefix("(?s:").replace("[[", r"[\[")
    return re.compile(expression, re.DOTALL)


def parse_parameter(text: str) -> tuple[str, object]:
    """Return the name and value in `NAME=VALUE`; the value is JSON or text. Raises `ValueError`."""
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise ValueError(f"must be NAME=VALUE (got {text!r})")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


def _context(step: Step, environment: dict[str, str], parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the context of a task, with the names that public execution scripts use."""
    software = []
    with contextlib.suppress(WheelhouseError):  # Without uv here, the job uses that of the publication.
        software.append({"name": "uv", "executable": uv.executable(), "version": "", "install_path": ""})
    return {
        "software": software,
        "environment": environment,
        "parameter_values": dict(parameters),
        "input_files": [{"name": name, "path": name} for name in step.inputs],
        "output_files": [{"name": name, "path": name} for name in step.products],
        "resource_requirements": {"num_cores": step.cores, "memory": step.memory, "disk_space": step.disk},
        "execution_context": dict(step.execution_context),
        "failure": "silent",
    }
