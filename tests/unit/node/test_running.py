from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bundler.node import running
from bundler.node.errors import OfflineRunError
from tests.conftest import started


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_the_exit_code_of_a_command_is_left_in_a_file_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    script = tmp_path / "s.py"
    script.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(int(sys.argv[1]))\n")
    for code in (0, 3):
        status = tmp_path / "status"
        monkeypatch.setattr(os, "name", system)
        command = running.reporting(
            [sys.executable, str(script), str(code), "a 'b' $c"], sys.executable, str(tmp_path)
        )
        monkeypatch.undo()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, status.read_text().strip()) == (code, str(code))
        assert done.stdout.strip() == str([str(code), "a 'b' $c"])


def test_a_command_for_windows_has_no_line_break_and_no_quote_whatever_its_words_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["uv", "first\nsecond", 'with "quotes"', "100 %PATH%"]
    monkeypatch.setattr(os, "name", "nt")
    command = running.reporting(words, "C:\\Python\\python.exe", str(tmp_path))
    monkeypatch.undo()
    text = subprocess.list2cmdline(command)
    assert not set("\n\r%") & set(text)
    assert text.count('"') == 2


def test_a_command_that_is_ended_ends_what_it_runs(tmp_path: Path) -> None:
    command = running.reporting(["sleep", "60"], sys.executable, str(tmp_path))
    with started(command) as process:
        time.sleep(0.3)
        process.terminate()
        assert process.wait(timeout=5) != 0
    assert (tmp_path / "status").read_text().strip() == "143"


@pytest.mark.parametrize("code", [0, 3])
def test_an_evaluator_that_runs_only_strings_runs_the_same_command(
    tmp_path: Path, code: int
) -> None:
    script = tmp_path / "it's.py"
    script.write_text(
        f"import sys, pathlib\npathlib.Path('words').write_text(repr(sys.argv[1:]))\nsys.exit({code})\n"
    )
    words = [sys.executable, str(script), "a 'b' $c", ""]

    def only_strings(command: str, *, shell: bool, env: dict[str, str]) -> None:
        if not isinstance(command, str):
            raise TypeError("command must be a string")
        assert shell
        subprocess.run(command, shell=True, env=env, cwd=tmp_path, check=False)  # noqa: S602 - what is tested

    if code:
        with pytest.raises(OfflineRunError, match="the script failed with exit code 3"):
            running.run(only_strings, words, sys.executable, dict(os.environ))
    else:
        running.run(only_strings, words, sys.executable, dict(os.environ))
    assert (tmp_path / "words").read_text() == repr(words[2:])


@pytest.mark.parametrize(("number", "words"), [(9, "killed .* more memory"), (11, "segmentation")])
def test_a_script_that_a_signal_ended_is_explained(number: int, words: str) -> None:
    def shell(command: list[str], *, shell: bool, env: dict[str, str]) -> None:
        subprocess.run(command, shell=shell, env=env, check=False)

    script = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {number})"]
    with pytest.raises(OfflineRunError, match=f"{words}.*"):
        running.run(shell, script, sys.executable, dict(os.environ))


def test_an_evaluator_that_runs_nothing_is_a_failed_script() -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("neither")

    with pytest.raises(OfflineRunError, match="exit code none"):
        running.run(broken, [sys.executable, "-c", ""], sys.executable, dict(os.environ))
