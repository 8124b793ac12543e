from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bundler.errors import ScriptError
from bundler.sources.parameters import Parameter
from bundler.sources.script import read_script
from bundler.sources.tool_table import Settings, settings_of

FULL = """
[tool.bundler]
python = "3.12"
platform = ["windows", "linux"]
inputs = ["mesh/part.msh"]
outputs = "plot.png"
optional-outputs = ["log.txt"]
monitor = ["log.txt"]
arguments = ["--epochs", "3"]
environment = {THREADS = 4}
execution-context = {solver = "cfx"}
priority = 5
debug = true
working-directory = "work"
distributed = true
compute-resource-set = "set-1"
queue = "short"
exclusive = true
cores-per-node = 8
gpus-per-node = 1
use-local-scratch = false
native-submit-options = "--account=x"
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
    path.write_text(
        "# /// script\n" + "".join(f"# {line}\n" for line in text.strip().splitlines()) + "# ///\n"
    )
    return settings_of(path, read_script(path).tool)


def test_a_script_says_all_of_its_jobs(tmp_path: Path) -> None:
    found = settings(tmp_path, FULL)
    assert (found.pythons, found.platforms) == (("3.12",), ("windows", "linux"))
    assert (found.inputs, found.outputs, found.optional_outputs) == (
        ("mesh/part.msh",),
        ("plot.png",),
        ("log.txt",),
    )
    assert (found.memory, found.disk, found.timeout, found.trials, found.cores) == (
        512_000_000,
        1000,
        7200,
        3,
        2.5,
    )
    assert found.parameters == (
        Parameter(name="frequency", type="float", default=1, lower=0, upper=10),
        Parameter(name="name", type="string", default="sine"),
        Parameter(name="deep", type="bool", default=True),
    )
    assert (found.monitor, found.arguments, found.environment) == (
        ("log.txt",),
        ("--epochs", "3"),
        {"THREADS": "4"},
    )
    assert (found.queue, found.exclusive, found.cores_per_node, found.gpus_per_node) == (
        "short",
        True,
        8,
        1,
    )
    assert (found.compute_resource_set, found.distributed, found.use_local_scratch) == (
        "set-1",
        True,
        False,
    )
    assert (found.execution_context, found.priority, found.debug) == ({"solver": "cfx"}, 5, True)
    assert found.output_parameters == (Parameter(name="maximum", type="float"),)


def test_a_script_may_say_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, "dependencies = []") == Settings()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("output = 1", "unknown key tool.bundler.output\nhint: did you mean outputs?"),
        (
            "colour = 1",
            "unknown key tool.bundler.colour\nhint: the keys are application, arguments, compute-resource-set",
        ),
        ("outputs = ['../x']", "must be relative paths inside the folder of a job (got '../x')"),
        ("outputs = [1]", "must be a string or a list of strings"),
        ("memory = 'much'", "must be a size such as 512 MB"),
        ("timeout = 'long'", "must be a duration such as 90 min"),
        ("cores = 0", "must be a number greater than 0"),
        ("cores = true", "must be a number greater than 0"),
        ("trials = 1.5", "must be an integer greater than 0"),
        ("parameters = ['x']", "must be a table of names"),
        (
            "parameters = {x = {type = 'complex'}}",
            "x has the unknown type 'complex'; the types are float, int, bool, string",
        ),
        ("parameters = {x = {type = 'int', default = 1.5}}", "x must be of type int (got 1.5)"),
        ("parameters = {x = {colour = 1}}", "x has unknown keys; the keys are type, default"),
        ("output-parameters = {x = 'complex'}", "unknown type 'complex'"),
        ("application = []", "must be a string (got"),
        ("memory = '" + "9" * 400 + "'", "is larger than any disk"),
        ("parameters = {x = {default = 50, upper = 10}}", "x = 50 is outside its bounds ..10"),
        ("parameters = {x = {default = 'a', lower = 1}}", "x must be of type string (got 1)"),
        ("parameters = {x = {default = 1.0, lower = 'a'}}", "x must be of type float (got 'a')"),
        ("monitor = ['other.txt']", "monitor: other.txt is not an output"),
        ("arguments = 'x'", "must be a list of strings"),
        ("environment = ['x']", "must be a table of strings, numbers and booleans"),
        ("exclusive = 1", "must be true or false"),
        ("queue = ['x']", "must be a string"),
        ("gpus-per-node = 0", "must be an integer greater than 0"),
        (
            "parameters = {x = {default = 3.0, values = [1.0, 2.0]}}",
            "x = 3.0 is not one of its values 1.0, 2.0",
        ),
        ("parameters = {x = {values = [1, 2]}}", "x is of type int, which has no list of values"),
        ("parameters = {x = {values = 1}}", "values must be a list"),
        ("parameters = {x = {units = 1}}", "units must be a string"),
        ("parameters = {x = nan}", "x must be of type float (got nan)"),
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
