from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bundler.hps.console import exception_in, explain

REASON = "the script failed with exit code 1"


@pytest.mark.parametrize(
    ("script", "exception"),
    [
        ("raise ValueError('no solution')", "ValueError: no solution"),
        ("print('Traceback of nothing')\nraise KeyError('x')", "KeyError: 'x'"),
        (
            "try:\n    1 / 0\nexcept ArithmeticError as e:\n    raise OSError('disk') from e",
            "OSError: disk",
        ),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line"),
        ("class Diverged(Exception): pass\nraise Diverged", "Diverged"),
        ("import nothing_at_all", "ModuleNotFoundError: No module named 'nothing_at_all'"),
        ("def f(:\n    pass", "SyntaxError: "),
        ("import sys\nsys.exit('no licence')", ""),
        ("import sys\nprint('ValueError is likely')\nsys.exit(1)", ""),
    ],
)
def test_the_exception_that_ended_a_script_is_found_in_what_python_printed(
    tmp_path: Path, script: str, exception: str
) -> None:
    (tmp_path / "s.py").write_text(script)
    done = subprocess.run(
        [sys.executable, tmp_path / "s.py"], capture_output=True, text=True, check=False
    )
    found = exception_in(done.stderr)
    assert found.startswith(exception)
    assert bool(found) == bool(exception)


def test_what_the_execution_script_prints_after_a_script_is_not_its_exception() -> None:
    console = "Traceback (most recent call last):\n  File ...\nValueError: 3\n"
    console += (
        "Traceback (most recent call last):\n  File ...\nbundler.OfflineRunError: node n1: failed\n"
    )
    assert exception_in(console) == "ValueError: 3"


def test_a_reason_that_says_more_than_an_exit_code_stays() -> None:
    console = "Traceback (most recent call last):\n  File ...\nValueError: 3\n"
    assert explain(REASON, console) == "the script failed: ValueError: 3"
    assert explain("uv is too old", console) == "uv is too old"
    assert explain(REASON, "done\n") == REASON
