"""Standard streams that are closed or full, for every command that succeeds without a server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins.wheels import make_wheel

COMMANDS = [
    "bundle eval.py",
    "publish-index store eval.bundle",
    "submit-jobs publication --dry-run",
    "bundler verify eval.bundle",
    "bundler inspect eval.bundle",
    "bundler report eval.bundle",
    "bundler sbom eval.bundle",
    "bundler pack eval.bundle -o eval.tar",
    "bundler pyz",
    "bundler store list store",
    "bundler store verify store",
    "bundler guide store",
    "bundler completion bash",
    "bundler probe",
    "bundler --help",
    "bundler --version",
]
# Commands that print nothing to standard output.
SILENT = ("bundler verify eval.bundle", "bundler store verify store")


@pytest.fixture
def ready(workplace: Workplace) -> Workplace:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("eval.py", "alpha")
    workplace.bundle("eval.py")
    published = workplace.run("publish-index", "store", "eval.bundle")
    (workplace.folder / "publication").symlink_to(published.stdout.strip())
    return workplace


def call(workplace: Workplace, command: str, redirection: str) -> tuple[int, str]:
    shell = f"exec {BIN}/{command} {redirection}"
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        check=False,
    )
    text = done.stdout.decode() + done.stderr.decode()
    assert "Traceback" not in text, (command, redirection, text)
    assert "Exception ignored" not in text, (command, redirection, text)
    return done.returncode, text


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "2>/dev/full", "<&-", "<&- >&- 2>&-"])
def test_work_that_was_done_succeeds_without_a_stream_or_with_lost_messages(
    ready: Workplace, redirection: str
) -> None:
    for command in COMMANDS:
        assert call(ready, command, redirection)[0] == 0, command


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_results_that_are_lost_are_an_error_that_names_standard_output(ready: Workplace) -> None:
    for command in COMMANDS:
        code, text = call(ready, command, ">/dev/full")
        assert code == (0 if command in SILENT else 1), command
        assert (
            command in SILENT or "error: standard output: No space left on device\nhint: " in text
        ), command


def test_no_file_gets_the_number_of_a_closed_stream(ready: Workplace) -> None:
    """A child process that writes to its standard output would write into that file."""
    before = (ready.folder / "eval.bundle" / "manifest.json").read_bytes()
    (ready.folder / "eval.bundle").rename(ready.folder / "before.bundle")
    assert call(ready, "bundle eval.py", ">&- 2>&-")[0] == 0
    assert (ready.folder / "eval.bundle" / "manifest.json").read_bytes() == before
    assert call(ready, "bundler verify eval.bundle", "")[0] == 0


@pytest.mark.parametrize("way", ["stdin", "variable"])
def test_a_password_that_is_no_utf_8_is_wrong_usage(ready: Workplace, way: str) -> None:
    Path(ready.folder / "password").write_bytes(b"p\xe4ss\n")
    command = "bundler hps list --url https://127.0.0.1:9/hps --username anna"
    if way == "stdin":
        code, text = call(ready, f"{command} --password-stdin", "< password")
    else:
        ready.environment["HPS_PASSWORD"] = "p\udce4ss"  # noqa: S105 - not one
        code, text = call(ready, command, "")
    assert code == 2, text
    assert "the password is not UTF-8 (byte 2)" in text


def test_an_archive_for_a_closed_standard_output_is_an_error(ready: Workplace) -> None:
    code, text = call(ready, "bundler pack eval.bundle -o -", ">&-")
    assert (code, text.splitlines()[0]) == (1, "error: standard output is closed")
    assert call(ready, "bundler pack eval.bundle -o -", ">/dev/null")[0] == 0
