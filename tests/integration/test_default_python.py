"""Without --python, a bundle is for the Python with which `uv run` would start the script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace

_OTHERS = sorted(Path.home().glob(".pyenv/versions/3.1[0-3].*/bin"))


def target(workplace: Workplace, script: Path, **environment: str) -> str:
    done = workplace.run("bundle", script, "-o", "it.bundle", "--replace", cwd=None, **environment)
    assert done.returncode == 0, done.stderr
    return next((workplace.folder / "it.bundle" / "targets").iterdir()).name.split("-")[0]


def run(workplace: Workplace, script: Path, **environment: str) -> str:
    variables = {**workplace.environment, "UV_PYTHON_DOWNLOADS": "never", **environment}
    done = subprocess.run(
        [BIN / "uv", "run", "--script", script],
        cwd=workplace.folder,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(len(_OTHERS) < 3, reason="there are not three Pythons here")
@pytest.mark.parametrize("requires", [">=3.10", ">=3.12", "==3.11.*", "<3.11"])
@pytest.mark.parametrize("way", ["nothing", "a file beside", "a file above", "a variable"])
def test_the_python_is_the_one_of_uv_run(workplace: Workplace, way: str, requires: str) -> None:
    workplace.environment["PATH"] = os.pathsep.join(
        [*map(str, _OTHERS), workplace.environment["PATH"]]
    )
    (workplace.folder / "sub").mkdir()
    body = "import sys\nprint('%d.%d' % sys.version_info[:2])\n"
    script = workplace.script("sub/solve.py", requires=requires, body=body)
    environment = {}
    if way == "a file beside":
        (script.parent / ".python-version").write_text("3.12\n")
    elif way == "a file above":
        (workplace.folder / ".python-version").write_text("3.12\n")
    elif way == "a variable":
        environment["UV_PYTHON"] = "3.11"
        if requires in (
            ">=3.12",
            "<3.11",
        ):  # uv warns and runs it all the same; a bundle would not be what it says.
            done = workplace.run("bundle", script, cwd=None, **environment)
            assert (done.returncode, "excludes" in done.stderr or "3.11" in done.stderr) == (
                1,
                True,
            )
            return
    assert target(workplace, script, **environment) == run(workplace, script, **environment)
