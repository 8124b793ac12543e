from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import BundlerError, CombinedError, DamagedError, JobError, SweepError
from bundler.jobs.options import Options
from bundler.jobs.submission import compose
from bundler.manifest import File, Manifest, ScriptEntry
from bundler.publications.execution import describe, render
from tests.stand_ins.manifests import manifest


def publication(folder: Path, **blocks: str) -> Path:
    """Write as much of a publication of some scripts as submitting looks at."""
    plain = manifest()
    target = plain.targets[0]
    scripts, files = [], [file for file in plain.files if file.path.startswith("wheels/")]
    for stem, block in blocks.items():
        name = f"{stem}.py"
        lines = "".join(f"# {line}\n" for line in f"[tool.bundler]\n{block}".strip().splitlines())
        data = f"# /// script\n{lines}# ///\n".encode()
        place = f"{target.folder()}/{stem}"
        (folder / place).mkdir(parents=True)
        (folder / place / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        scripts.append(ScriptEntry(name=name, sha256=digest, requires_python="", dependencies=()))
        files.append(File(path=f"{place}/{name}", size=len(data), sha256=digest))
        others = (f"{name}.lock", f"pylock.{stem}.toml")
        files += [File(path=f"{place}/{other}", size=1, sha256="b" * 64) for other in others]
    entry = replace(
        target, wheels={script.name: next(iter(target.wheels.values())) for script in scripts}
    )
    made = Manifest(name="x", scripts=tuple(scripts), targets=(entry,), files=tuple(files))
    (folder / "manifest.json").write_bytes(made.to_json())
    script = render(describe(made, str(folder)))
    (folder / "exec_script.py").write_bytes(script)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(script).hexdigest()}  exec_script.py\n")
    return folder


def test_scripts_are_steps_in_the_order_in_which_they_were_bundled(tmp_path: Path) -> None:
    found = compose(
        publication(tmp_path, mesh='outputs = ["m"]', solve='inputs = ["m"]'), [{}], Options()
    )
    assert [(step.script, dict(step.environment)) for step in found.steps] == [
        ("mesh.py", {"BUNDLER_SCRIPT": "mesh.py"}),
        ("solve.py", {"BUNDLER_SCRIPT": "solve.py"}),
    ]
    (only,) = compose(tmp_path, [{}], Options(scripts=("mesh.py",))).steps
    assert only.script == "mesh.py"
    with pytest.raises(JobError, match=r"solve\.py needs m\nhint: give them with --input"):
        compose(tmp_path, [{}], Options(scripts=("solve.py",)))
    with pytest.raises(
        JobError, match=r"has no script other\.py\nhint: its scripts are mesh\.py, solve\.py"
    ):
        compose(tmp_path, [{}], Options(scripts=("other.py",)))


def test_options_win_over_what_scripts_say_and_both_over_defaults(tmp_path: Path) -> None:
    folder = publication(
        tmp_path, solve='cores = 2\nmemory = "1 GB"\napplication = "Uv"\nsoftware = ["A"]'
    )
    found = compose(folder, [{}], Options(cores=4, software=("B=2",), environment={"X": "1"}))
    (step,) = found.steps
    assert (step.cores, step.memory, step.trials, step.timeout) == (4, 10**9, 1, None)
    assert (step.software, dict(step.environment), found.application) == (
        ("A", "B=2"),
        {"X": "1"},
        "Uv",
    )
    assert compose(folder, [{}], Options(application="none")).application is None
    assert found.platforms == ("linux",)


def test_input_files_have_the_path_that_scripts_give_them(tmp_path: Path) -> None:
    folder = publication(tmp_path / "p", solve='inputs = ["data/mesh.msh"]')
    mesh, more = tmp_path / "mesh.msh", tmp_path / "more.txt"
    for path in (mesh, more):
        path.touch()
    found = compose(folder, [{}], Options(inputs=(mesh, more)))
    assert found.files == {"data/mesh.msh": mesh, "more.txt": more}
    assert found.steps[0].inputs == ("data/mesh.msh", "more.txt")
    with pytest.raises(JobError, match=r"would both become more\.txt"):
        compose(folder, [{}], Options(inputs=(mesh, more, tmp_path / "other" / "more.txt")))
    with pytest.raises(JobError, match="is not a readable file"):
        compose(folder, [{}], Options(inputs=(mesh, tmp_path / "nowhere")))


@pytest.mark.parametrize(
    ("rows", "values"), [([{}], [{"x": 1.0}]), ([{"x": 2}, {"x": 3}], [{"x": 2.0}, {"x": 3.0}])]
)
def test_every_job_has_its_values(
    tmp_path: Path, rows: list[dict[str, Any]], values: list[dict[str, Any]]
) -> None:
    folder = publication(tmp_path, solve="parameters = {x = 1.0}\noutput-parameters = ['y']")
    found = compose(folder, rows, Options())
    assert [job.values for job in found.jobs] == values
    assert [parameter.name for parameter in found.output_parameters] == ["y"]
    with pytest.raises(SweepError, match=r"no script declares z \(declared: x\)"):
        compose(folder, [{"z": 1}], Options())


def test_scripts_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    folder = publication(tmp_path, one="parameters = {n = 1}", two="parameters = {n = 2}")
    with pytest.raises(JobError, match="declare the parameter n differently"):
        compose(folder, [{}], Options())


def test_what_was_changed_since_it_was_published_is_not_submitted(tmp_path: Path) -> None:
    folder = publication(tmp_path, solve="")
    with (folder / "exec_script.py").open("a") as script:
        script.write("# more\n")
    with pytest.raises(DamagedError, match=r"changed\s+exec_script\.py"):
        compose(folder, [{}], Options())
    (folder / "exec_script.py").unlink()
    with pytest.raises(BundlerError):
        compose(folder, [{}], Options())
    (folder / manifest().targets[0].folder() / "solve" / "solve.py").write_text(
        "# /// script\n# dependencies = []\n# ///\n"
    )
    with pytest.raises(CombinedError, match="differs from its digest in the manifest") as fault:
        compose(folder, [{}], Options())
    assert "solve.py" in str(fault.value)


def test_a_column_that_is_called_like_an_input_names_the_file_of_each_job(tmp_path: Path) -> None:
    folder = publication(tmp_path / "p", solve='inputs = ["data/mesh.msh"]\nparameters = {x = 1.0}')
    for name in ("a.msh", "b.msh"):
        (tmp_path / name).touch()
    rows = [{"mesh.msh": "a.msh", "x": 1}, {"mesh.msh": "b.msh", "x": 2}]
    made = compose(folder, rows, Options(), folder=tmp_path)
    assert [(dict(job.files), job.values) for job in made.jobs] == [
        ({"data/mesh.msh": tmp_path / "a.msh"}, {"x": 1.0}),
        ({"data/mesh.msh": tmp_path / "b.msh"}, {"x": 2.0}),
    ]
    with pytest.raises(JobError, match=r"data/mesh\.msh has no file in 1 job"):
        compose(folder, [*rows, {"x": 3}], Options(), folder=tmp_path)


def test_steps_of_one_level_run_together_and_the_others_in_order(tmp_path: Path) -> None:
    blocks = {
        "last": "execution-level = 9",
        "one": "execution-level = 0",
        "two": "execution-level = 0",
    }
    made = compose(publication(tmp_path, **blocks), [{}], Options())
    assert [(step.script, step.level) for step in made.steps] == [
        ("one.py", 0),
        ("two.py", 0),
        ("last.py", 9),
    ]


def test_a_file_that_a_step_writes_is_no_input_file_of_a_job(tmp_path: Path) -> None:
    folder = publication(tmp_path / "p", mesh='outputs = ["m.msh"]', solve='inputs = ["m.msh"]')
    (tmp_path / "a.msh").touch()
    with pytest.raises(
        JobError, match=r"m\.msh is written by mesh\.py, so it cannot be an input file of a job"
    ):
        compose(folder, [{"m.msh": "a.msh"}], Options(), folder=tmp_path)
    (only,) = compose(
        folder, [{"m.msh": "a.msh"}], Options(scripts=("solve.py",)), folder=tmp_path
    ).jobs
    assert dict(only.files) == {"m.msh": tmp_path / "a.msh"}


def test_a_parameter_that_no_script_mentions_is_warned_about(tmp_path: Path) -> None:
    found = compose(
        publication(tmp_path, solve='environment = {NAME = "frequency"}'), [{"freqency": 1.0}]
    )
    (warning,) = found.warnings
    assert warning == (
        "no script contains the name of the parameter freqency\nhint: did you mean frequency?"
    )
    assert compose(tmp_path, [{"frequency": 1.0}]).warnings == ()


def test_an_undeclared_parameter_next_to_declared_ones_is_refused_with_the_near_one(
    tmp_path: Path,
) -> None:
    folder = publication(tmp_path, solve="parameters = {frequency = 1.0}")
    with pytest.raises(SweepError, match=r"declares freqency \(did you mean frequency\?\)"):
        compose(folder, [{"freqency": 1.0}])


def test_mappings_of_unknown_parameters_and_files_are_refused_with_all_that_is_wrong(
    tmp_path: Path,
) -> None:
    mapping = '{parameter = "x", file = "a.txt", key-string = "x", tokenizer = "="}'
    folder = publication(tmp_path, solve=f"parameter-mappings = [{mapping}]")
    with pytest.raises(JobError) as caught:
        compose(folder, [{}])
    assert "the parameter x, which no step declares" in str(caught.value)
    assert "the file a.txt, which no step reads or writes" in str(caught.value)


def test_a_script_can_be_two_steps_with_environments_of_their_own(tmp_path: Path) -> None:
    folder = publication(tmp_path, solve="cores = 2", mesh="cores = 1")
    options = Options(
        scripts=("first=solve.py", "second=solve.py"), overrides=("second:arguments=['a']",)
    )
    first, second = compose(folder, [{}], options).steps
    assert (first.title, second.title, first.script) == ("first", "second", "solve.py")
    assert first.environment == {"BUNDLER_SCRIPT": "solve.py"}
    assert second.environment == {"BUNDLER_SCRIPT": "solve.py", "BUNDLER_ARGUMENTS": '["a"]'}
    assert (first.level, second.level) == (0, 1)
