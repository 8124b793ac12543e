from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bundler.errors import JobError
from bundler.jobs.options import Options, choose_steps, override
from bundler.manifest import Manifest
from bundler.sources.tool_table import Settings
from tests.stand_ins.manifests import manifest

STEPS = (("", "mesh.py"), ("", "solve.py"))
SETTINGS = (
    Settings(outputs=("mesh.dat",), environment={"THREADS": "4"}, cores=2),
    Settings(software=("Ansys Mechanical",), queue="long"),
)


def bundled(names: list[str]) -> Manifest:
    """Return a manifest with scripts of these names."""
    one = manifest()
    (script,) = one.scripts
    return replace(one, scripts=tuple(replace(script, name=name) for name in names))


def test_options_replace_values_and_add_software_outputs_and_environment_variables() -> None:
    options = Options(
        cores=8, software=("CFX",), outputs=("log.txt",), environment={"A": "1"}, queue="short"
    )
    mesh, solve = override(STEPS, SETTINGS, options)
    assert (mesh.cores, solve.cores, mesh.queue, solve.queue) == (8, 8, "short", "short")
    assert (mesh.software, solve.software) == (("CFX",), ("Ansys Mechanical", "CFX"))
    assert mesh.outputs == ("mesh.dat", "log.txt")
    assert mesh.environment == {"THREADS": "4", "A": "1"}
    assert override(STEPS, SETTINGS, Options()) == list(SETTINGS)


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
    found = override(STEPS, SETTINGS, Options(overrides=(text,)))
    assert tuple(getattr(about, key) for about in found) == values


def test_what_is_set_for_one_step_wins_over_what_is_set_for_all() -> None:
    options = Options(overrides=("mesh.py:cores=1", "cores=4"), cores=2)
    assert [about.cores for about in override(STEPS, SETTINGS, options)] == [1, 4]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cores", r"must be \[STEP:\]KEY=VALUE"),
        ("other.py:cores=1", r"there is no step other.py \(the steps are mesh.py, solve.py\)"),
        ("queue=1", "must be a string.*\nhint: to set a string, quote it: --set 'queue=\"1\"'"),
        ("cores=0", "--set cores=0: must be a number greater than 0"),
        ("kores=1", "unknown key tool.bundler.kores.*\nhint: did you mean cores?"),
        ("platform=linux", "platform is a key for bundling, not for jobs"),
        ("mesh.py:priority=1", "priority cannot be set for a step"),
        ("mesh.py:monitor=other.dat", "mesh.py does not write other.dat"),
    ],
)
def test_a_wrong_override_is_explained(text: str, reason: str) -> None:
    with pytest.raises(JobError, match=f"(?s){reason}"):
        override(STEPS, SETTINGS, Options(overrides=(text,)))


def test_a_script_can_be_several_steps_each_with_values_of_its_own() -> None:
    chosen = choose_steps("eval-1", bundled(["eval.py"]), ["first=eval.py", "second=eval.py"])
    assert chosen == [("first", "eval.py"), ("second", "eval.py")]
    options = Options(overrides=("eval.py:cores=2", "second:cores=3", "first:inputs=a.json"))
    first, second = override(chosen, [Settings(), Settings()], options)
    assert (first.cores, second.cores, first.inputs, second.inputs) == (2, 3, ("a.json",), ())


def test_all_scripts_are_the_steps_unless_some_are_chosen() -> None:
    about = bundled(["a.py", "b=c.py"])
    assert choose_steps("eval-1", about, []) == [("", "a.py"), ("", "b=c.py")]
    assert choose_steps("eval-1", about, ["b=c.py", "x=a.py"]) == [("", "b=c.py"), ("x", "a.py")]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["x=other.py", "gone.py"], "eval-1 has no script gone.py, other.py"),
        (["a.py", "a.py"], "several steps are called a.py.*--script first=a.py"),
        (["x=a.py", "x=a.py"], "several steps are called x"),
    ],
)
def test_wrong_steps_are_explained(texts: list[str], reason: str) -> None:
    with pytest.raises(JobError, match=f"(?s){reason}"):
        choose_steps("eval-1", bundled(["a.py"]), texts)


def test_a_file_of_settings_is_overridden_by_options_and_these_by_set(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(
        'cores = 2\ntimeout = "1 min"\nqueue = "night"\n[parameters]\nx = 1.0\n'
        '[steps."solve.py"]\ncores = 4\narguments = ["a"]\n'
    )
    options = Options(settings=path, queue="short", overrides=("timeout=5",))
    mesh, solve = override(STEPS, SETTINGS, options)
    assert (mesh.cores, solve.cores, solve.arguments) == (2, 4, ("a",))
    assert (mesh.queue, mesh.timeout) == ("short", 5.0)
    assert [parameter.name for parameter in mesh.parameters] == ["x"]


def test_a_wrong_file_of_settings_is_explained_with_all_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text("cores = 0\nplatform = 'x'\n[steps.other]\nfitness = {}\nkores = 1\n")
    with pytest.raises(JobError) as caught:
        override(STEPS, SETTINGS, Options(settings=path))
    for words in (
        "jobs.toml: ",
        "cores: must be a number greater than 0",
        "platform is a key for bundling",
        "there is no step other",
        "fitness cannot be set for a step",
        "unknown key kores",
    ):
        assert words in str(caught.value)
    path.write_text("cores = ")
    with pytest.raises(JobError, match="is not valid TOML"):
        override(STEPS, SETTINGS, Options(settings=path))
