from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bundler.errors import ScriptError
from bundler.sources.script import read_script
from bundler.sources.tool_table import Parameter, Settings, settings_of

FULL = """
[tool.bundler]
python = "3.12"
platform = ["windows", "linux"]
inputs = ["mesh/part.msh"]
outputs = "plot.png"
optional-outputs = ["log.txt"]
software = ["Ansys Mechanical=2026 R1"]
application = "Uv"
cores = 2.5
memory = "512 MB"
disk = 1000
timeout = "2 h"
trials = 3
output-parameters = ["maximum"]
[tool.bundler.parameters]
frequency = {type = "float", default = 1, lower = 0, upper = 10}
name = "sine"
deep = true
"""


def settings(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "eval.py"
    path.write_text("# /// script\n" + "".join(f"# {line}\n" for line in text.strip().splitlines()) + "# ///\n")
    return settings_of(path, read_script(path).tool)


def test_a_script_says_all_of_its_jobs(tmp_path: Path) -> None:
    found = settings(tmp_path, FULL)
    assert (found.pythons, found.platforms) == (("3.12",), ("windows", "linux"))
    assert (found.inputs, found.outputs, found.optional_outputs) == (("mesh/part.msh",), ("plot.png",), ("log.txt",))
    assert (found.memory, found.disk, found.timeout, found.trials, found.cores) == (512_000_000, 1000, 7200, 3, 2.5)
    assert found.parameters == (
        Parameter(name="frequency", type="float", default=1, lower=0, upper=10),
        Parameter(name="name", type="string", default="sine"),
        Parameter(name="deep", type="bool", default=True),
    )
    assert found.output_parameters == (Parameter(name="maximum", type="float"),)


def test_a_script_may_say_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, "dependencies = []") == Settings()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("output = 1", "unknown key tool.bundler.output\nhint: did you mean outputs?"),
        ("colour = 1", "unknown key tool.bundler.colour\nhint: the keys are application, cores"),
        ("outputs = ['../x']", "'../x' is no path inside the folder of a job"),
        ("outputs = [1]", "is no text and no list of texts"),
        ("memory = 'much'", "write it like 512 MB"),
        ("timeout = 'long'", "write it like 90 min"),
        ("cores = 0", "is no number above 0"),
        ("cores = true", "is no number above 0"),
        ("trials = 1.5", "is no whole number above 0"),
        ("parameters = ['x']", "is no table of names"),
        ("parameters = {x = {type = 'complex'}}", "'complex' is none of float, int, bool, string"),
        ("parameters = {x = {type = 'int', default = 1.5}}", "x: 1.5 is no int"),
        ("parameters = {x = {colour = 1}}", "x may have type, default, lower and upper"),
        ("output-parameters = {x = 'complex'}", "is none of float"),
        ("application = []", "is no text and no list of texts"),
        ("memory = '" + "9" * 400 + "'", "is more than there is"),
        ("parameters = {x = {default = 50, upper = 10}}", "x: 50 is not between None and 10"),
        ("parameters = {x = {default = 'a', lower = 1}}", "x: 1 is no string"),
        ("parameters = {x = {default = 1.0, lower = 'a'}}", "x: 'a' is no float"),
        ("parameters = {x = nan}", "x: nan is no float"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ScriptError) as fault:
        settings(tmp_path, f"[tool.bundler]\n{line}")
    assert words in str(fault.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScriptError) as fault:
        settings(tmp_path, "[tool.bundler]\nmemory = 'x'\ncores = 0\ncolour = 1")
    assert all(word in str(fault.value) for word in ("memory", "cores", "colour"))


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    metadata: Any = "[tool]\nbundler = 1"
    with pytest.raises(ScriptError, match=r"tool\.bundler is not a table"):
        settings(tmp_path, metadata)
