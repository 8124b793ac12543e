from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bundler.jobs.console import UNCLEAR, exception_in, reason_in


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
        ("import sys\nprint('ValueError: retrying')\nsys.exit(1)", ""),
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


def test_an_exception_that_the_script_handled_long_before_its_end_is_not_its_reason() -> None:
    handled = "Traceback (most recent call last):\n  File ...\nValueError: 3\n"
    assert reason_in(handled) == "the script failed: ValueError: 3"
    assert reason_in(handled + "step\n" * 20 + "no licence\n") == UNCLEAR
    assert reason_in("done\n") == UNCLEAR


def test_a_reason_steers_no_terminal() -> None:
    console = "Traceback (most recent call last):\n  File ...\nValueError: \x1b[31mred\n"
    assert reason_in(console) == "the script failed: ValueError:  [31mred"
