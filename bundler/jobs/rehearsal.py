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
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from bundler.errors import BundlerError, JobError
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.layout import EXEC_SCRIPT
from wheelhouse import process
from wheelhouse.errors import WheelhouseError
from wheelhouse.files import LARGEST_INPUT, explained, make_folder, read_plain
from wheelhouse.resolve import uv

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
_PROXIES = (
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How network access is prevented: `prefix` of the command and additional environment variables."""

    sentence: str
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def isolation() -> Isolation:
    """Return the strongest isolation from the network that this system supports."""
    unshare = shutil.which("unshare")
    if unshare and process.run([unshare, "-rn", "true"])[0] == 0:
        return Isolation(
            sentence="The job runs without network access, in its own network namespace.",
            prefix=(unshare, "-rn", sys.executable, "-I", "-c", _WITH_LOOPBACK),
        )
    return Isolation(
        sentence="warning: this system does not support network namespaces. uv runs offline and proxies are disabled, "
        "but the script itself can access the network.",
        environment=dict.fromkeys(_PROXIES, _DEAD_PROXY),
    )


def rehearse(
    publication: Path,
    submission: Submission,
    folder: Path,
    *,
    how: Isolation,
    show: Callable[[str], None],
) -> list[Path]:
    """Run the job of `submission` in the empty folder `folder` with an empty uv cache, one step after the other.

    Calls `show` for each line of the console output; returns the files that the job wrote. Raises `BundlerError`,
    `JobError`.
    """
    job = submission.jobs[0]
    inputs = {**submission.files, **job.files}
    _prepare(folder, inputs)
    code = 0
    values: Mapping[str, object] = job.values
    with tempfile.TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as scratch:
        for step in submission.steps:
            code = _run(
                publication,
                step,
                values,
                folder,
                Path(scratch),
                how,
                show,
            )
            values = _values(Path(scratch))
            if code:
                break
    given = job.values.items()
    outputs = {name: value for name, value in values.items() if (name, value) not in given}
    if outputs:
        show(f"Output parameters: {json.dumps(outputs)}")
    if code:
        raise JobError(f"{publication.name}: the job failed", hint="read its console output above")
    _require_results(publication, submission, folder, values)
    ignored = {*_WRITTEN, *inputs}
    return [path for name, path in _files_in(folder).items() if name not in ignored]


def _prepare(folder: Path, inputs: Mapping[str, Path]) -> None:
    """Create the folder of the job with its input files. Raises `BundlerError` if `folder` is not empty."""
    with explained(folder):
        make_folder(folder)
        if any(folder.iterdir()):
            raise BundlerError(
                f"{folder} is not empty, but a job starts in an empty folder",
                hint="choose another --output",
            )
        for name, path in inputs.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)


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
    publication = publication.absolute()
    environment = {
        **step.environment,
        "UV_CACHE_DIR": str(scratch / "uv-cache"),
        "BUNDLER_PUBLICATION": str(publication),
    }
    context = scratch / "context.json"
    table = _context(step, environment, values)
    context.write_text(json.dumps(table), encoding="utf-8")
    inherited = dict(os.environ)
    inherited.update(how.environment)
    inherited["PYTHONDONTWRITEBYTECODE"] = "1"
    inherited.update(dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary)))
    with as_file(files("bundler").joinpath("templates/evaluator.py")) as evaluator:
        command: list[str | Path] = [
            *how.prefix,
            sys.executable,
            evaluator,
            publication / EXEC_SCRIPT,
            context,
        ]
        return process.run_shown(
            command, cwd=folder, env=inherited, show=lambda line: show(for_this_machine(line))
        )


def for_this_machine(line: str) -> str:
    """Return a line of the job for somebody at this machine, where there is no other node and no administrator."""
    line = re.sub(r"^(\[ERROR\] )node \S+: ", r"\1", line)
    return re.sub(r"hint: ask the administrator of (?:the nodes|HPS) to ", "hint: ", line)


def _values(scratch: Path) -> dict[str, object]:
    """Return the parameters after a step."""
    path = scratch / "parameter_values.json"
    if not path.is_file():
        return {}
    return dict(json.loads(read_plain(path, LARGEST_INPUT)))


def _require_results(
    publication: Path,
    submission: Submission,
    folder: Path,
    values: Mapping[str, object],
) -> None:
    """Raise `JobError` if the job did not write something that its scripts declare; HPS would fail it."""
    missing = []
    for step in submission.steps:
        missing += [name for name in step.outputs if not _is_there(folder, name)]
    for parameter in submission.output_parameters:
        name = parameter.name
        if name not in values:
            missing.append(f"output parameter {name}")
    if missing:
        raise JobError(
            f"{publication.name}: the job did not write {', '.join(missing)}, so it would fail on HPS",
            hint="fix the script, or its outputs in [tool.bundler]",
        )


def _is_there(folder: Path, output: str) -> bool:
    """Return whether the file `output` is in `folder`; like HPS, `output` may contain wildcards."""
    if not re.search(r"[*?[]", output):
        return (folder / output).is_file()
    return any(map(wildcards(output).fullmatch, _files_in(folder)))


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
            expression += (
                fnmatch.translate(part)
                .rpartition(")")[0]
                .removeprefix("(?s:")
                .replace("[[", r"[\[")
            )
    return re.compile(expression, re.DOTALL)


def _files_in(folder: Path) -> dict[str, Path]:
    """Return the files in `folder` and its folders, sorted, by their path below it."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def parse_parameter(text: str) -> tuple[str, object]:
    """Return the name and value in `NAME=VALUE`; the value is JSON or text. Raises `ValueError`."""
    name, equals, value = text.partition("=")
    name = name.strip()
    if not name or not equals:
        raise ValueError(f"must be NAME=VALUE (got {text!r})")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _context(
    step: Step,
    environment: dict[str, str],
    parameters: Mapping[str, object],
) -> dict[str, object]:
    """Return the context of a task, with the names that public execution scripts use."""
    software = []
    with contextlib.suppress(
        WheelhouseError
    ):  # Without uv here, the job uses that of the publication.
        software.append(
            {"name": "uv", "executable": uv.executable(), "version": "", "install_path": ""}
        )
    return {
        "software": software,
        "environment": environment,
        "parameter_values": dict(parameters),
        "input_files": [{"name": name, "path": name} for name in step.inputs],
        "output_files": [{"name": name, "path": name} for name in step.products],
        "resource_requirements": {
            "num_cores": step.cores,
            "memory": step.memory,
            "disk_space": step.disk,
        },
        "execution_context": dict(step.execution_context),
        "failure": "silent",
    }
