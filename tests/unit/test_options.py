from __future__ import annotations

import pytest

from bundler.errors import JobError
from bundler.jobs.options import Options, override
from bundler.sources.tool_table import Settings

NAMES = ("mesh.py", "solve.py")
SETTINGS = (
    Settings(outputs=("mesh.dat",), environment={"THREADS": "4"}, cores=2),
    Settings(software=("Ansys Mechanical",), queue="long"),
)


def test_options_replace_values_and_add_software_outputs_and_environment_variables() -> None:
    options = Options(
        cores=8, software=("CFX",), outputs=("log.txt",), environment={"A": "1"}, queue="short"
    )
    mesh, solve = override(NAMES, SETTINGS, options)
    assert (mesh.cores, solve.cores, mesh.queue, solve.queue) == (8, 8, "short", "short")
    assert (mesh.software, solve.software) == (("CFX",), ("Ansys Mechanical", "CFX"))
    assert mesh.outputs == ("mesh.dat", "log.txt")
    assert mesh.environment == {"THREADS": "4", "A": "1"}
    assert override(NAMES, SETTINGS, Options()) == list(SETTINGS)


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("memory=512 MB", "memory", (512_000_000, 512_000_000)),
        ("solve.py:cores=16", "cores", (2, 16)),
        ("solve.py:arguments=['a', 'b=c']", "arguments", ((), ("a", "b=c"))),
        ("mesh.py:queue=night", "queue", ("night", "long")),
        ("debug=true", "debug", (True, True)),
        ("mesh.py:monitor=mesh.dat", "monitor", (("mesh.dat",), ())),
    ],
)
def test_any_key_can_be_set_for_all_steps_or_for_one(
    text: str, key: str, values: tuple[object, object]
) -> None:
    found = override(NAMES, SETTINGS, Options(overrides=(text,)))
    assert tuple(getattr(about, key) for about in found) == values


def test_what_is_set_for_one_step_wins_over_what_is_set_for_all() -> None:
    options = Options(overrides=("mesh.py:cores=1", "cores=4"), cores=2)
    assert [about.cores for about in override(NAMES, SETTINGS, options)] == [1, 4]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cores", r"must be \[SCRIPT:\]KEY=VALUE"),
        ("other.py:cores=1", r"there is no script other.py \(the scripts are mesh.py, solve.py\)"),
        ("queue=1", "must be a string.*\nhint: to set a string, quote it: --set 'queue=\"1\"'"),
        ("cores=0", "--set cores=0: must be a number greater than 0"),
        ("kores=1", "unknown key tool.bundler.kores.*\nhint: did you mean cores?"),
        ("platform=linux", "platform cannot be set for a step"),
        ("mesh.py:monitor=other.dat", "mesh.py does not write other.dat"),
    ],
)
def test_a_wrong_override_is_explained(text: str, reason: str) -> None:
    with pytest.raises(JobError, match=f"(?s){reason}"):
        override(NAMES, SETTINGS, Options(overrides=(text,)))
