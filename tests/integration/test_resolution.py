"""Resolving with real uv: for the requested targets, whatever Python is installed here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINUX = "x86_64-manylinux_2_28"
NEWER = "3.14"
OLDER = "3.9"


@pytest.fixture
def other() -> Iterator[Index]:
    with serving(Index()) as served:
        yield served


def wheels(folder: Path, name: str = "solve.bundle") -> list[str]:
    return sorted(path.name for path in (folder / name / "wheels").iterdir())


def bare_script(folder: Path, *dependencies: str, name: str = "solve.py") -> Path:
    path = folder / name
    path.write_text(f"# /// script\n# dependencies = {list(dependencies)!r}\n# ///\n")
    return path


@pytest.mark.parametrize("python", [OLDER, NEWER])
def test_a_script_that_names_no_python_is_for_the_python_of_its_target(
    workplace: Workplace, python: str
) -> None:
    workplace.index.add(make_wheel("alpha"))
    bare_script(workplace.folder, "alpha")
    done = workplace.run("bundle", "solve.py", "--python", python)
    assert (done.returncode, done.stdout) == (0, "solve.bundle\n"), done.stderr


@pytest.mark.parametrize("name", ["solve.py", "requirements.txt"])
def test_a_package_need_not_fit_a_python_or_a_platform_that_nobody_asked_for(
    workplace: Workplace, name: str
) -> None:
    workplace.index.add(
        make_wheel("alpha", requires_python=">=3.11", requires=["beta; sys_platform == 'win32'"])
    )
    if name == "solve.py":
        workplace.script(name, "alpha", requires=">=3.8")
    else:
        (workplace.folder / name).write_text("alpha\n")
    done = workplace.run(
        "bundle", name, "--python", "3.12", "--platform", LINUX, "-o", "solve.bundle"
    )
    assert done.returncode == 0, done.stderr
    assert wheels(workplace.folder) == ["alpha-1.0-py3-none-any.whl"]


def test_targets_of_several_pythons_get_the_newest_version_for_each(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", "1.0"))
    workplace.index.add(make_wheel("alpha", "2.0", requires_python=">=3.12"))
    workplace.script("solve.py", "alpha")
    targets = [
        "--python",
        "3.10",
        "--python",
        "3.12",
        "--python",
        "3.12.4",
        "--platform",
        LINUX,
        "--platform",
        "windows",
    ]
    done = workplace.run("bundle", "solve.py", *targets)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((workplace.folder / "solve.bundle" / "manifest.json").read_bytes())
    versions = {
        target["name"]: target["wheels"]["solve.py"][0].split("-")[1]
        for target in manifest["targets"]
    }
    assert versions == {name: "1.0" if name.startswith("3.10") else "2.0" for name in versions}
    assert len(versions) == 6


def test_a_conflict_is_told_of_the_target_that_has_it_and_of_no_other(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", requires=["beta<1; sys_platform == 'linux'"]))
    workplace.index.add(make_wheel("beta", "2.0"))
    workplace.script("solve.py", "alpha", requires=">=3.8")
    done = workplace.run(
        "bundle", "solve.py", "--python", "3.12", "--platform", LINUX, "--platform", "windows"
    )
    assert done.returncode == 1
    assert f"resolving dependencies for Python 3.12 on {LINUX}" in done.stderr
    assert "solve.py" in done.stderr
    for invented in (
        "win32",
        "python_full_version",
        "bundled-by",
        "your project",
        "requires-python",
    ):
        assert invented not in done.stderr


def test_a_script_without_a_python_keeps_to_its_lock_made_by_another_python(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("alpha"))
    script = workplace.script("solve.py", "alpha", requires=">=3.9")
    assert workplace.run("uv", "lock", "--script", "solve.py").returncode == 0
    lock = workplace.folder / "solve.py.lock"
    lock.write_text(
        lock.read_text().replace('requires-python = ">=3.9"', f'requires-python = ">={NEWER}"')
    )
    bare_script(workplace.folder, "alpha")
    workplace.index.add(make_wheel("alpha", "2.0"))
    done = workplace.run("bundle", "solve.py", "--python", NEWER)
    assert done.returncode == 0, done.stderr
    assert wheels(workplace.folder) == ["alpha-1.0-py3-none-any.whl"]
    bare_script(workplace.folder, "alpha>=2")
    done = workplace.run("bundle", "solve.py", "--python", NEWER)
    assert (done.returncode, f"{script.name}.lock" in done.stderr) == (1, True)


def test_a_project_for_a_python_that_is_not_here_keeps_to_its_lock(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    project = workplace.folder / "project"
    project.mkdir()
    text = '[project]\nname = "work"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["alpha"]\n'
    (project / "pyproject.toml").write_text(text)
    assert workplace.run("uv", "lock", cwd=project).returncode == 0
    for path in (project / "pyproject.toml", project / "uv.lock"):
        path.write_text(
            path.read_text().replace('requires-python = ">=3.9"', f'requires-python = ">={NEWER}"')
        )
    workplace.index.add(make_wheel("alpha", "2.0"))
    done = workplace.run("bundle", "project", "--python", NEWER)
    assert done.returncode == 0, done.stderr
    assert wheels(workplace.folder, "project.bundle") == ["alpha-1.0-py3-none-any.whl"]
    (project / "pyproject.toml").write_text(
        (project / "pyproject.toml").read_text().replace('"alpha"', '"alpha>=2"')
    )
    done = workplace.run("bundle", "project", "--python", NEWER)
    assert (done.returncode, "uv.lock" in done.stderr) == (1, True)


def test_every_version_that_a_second_resolution_changes_is_told(workplace: Workplace) -> None:
    workplace.index.add(
        make_wheel("alpha", "2.0", tag="py3-none-manylinux_2_34_x86_64", requires=["beta"])
    )
    workplace.index.add(
        make_wheel("alpha", "1.0", tag="py3-none-manylinux_2_17_x86_64", requires=["gamma<2"])
    )
    workplace.index.add(make_wheel("beta"))
    workplace.index.add(make_wheel("gamma"))
    workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--platform", LINUX)
    assert done.returncode == 0, done.stderr
    words = f"solve.py: Python {PYTHON} on {LINUX} gets other versions, because no wheels fit: "
    assert f"{words}alpha 2.0 -> 1.0, beta 1.0 -> none, gamma none -> 1.0\n" in done.stderr


@pytest.mark.parametrize(("dependency", "code"), [("alpha", 1), ("alpha>=1.0rc1", 0)])
def test_a_pre_release_is_taken_only_where_somebody_asked_for_it(
    workplace: Workplace, dependency: str, code: int
) -> None:
    workplace.index.add(make_wheel("alpha", "2.0", tag="py3-none-manylinux_2_34_x86_64"))
    workplace.index.add(make_wheel("alpha", "1.0rc1", tag="py3-none-manylinux_2_17_x86_64"))
    workplace.script("solve.py", dependency)
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--platform", LINUX)
    assert done.returncode == code, done.stderr
    assert ("its wheels need glibc 2.34" in done.stderr) == bool(code)
    (workplace.folder / "requirements.txt").write_text(f"{dependency}\n")
    done = workplace.run("bundle", "requirements.txt", "--python", PYTHON, "--platform", LINUX)
    assert done.returncode == code, done.stderr


def test_advice_names_a_python_that_has_wheels_and_builds_only_for_this_machine(
    workplace: Workplace,
) -> None:
    for minor in ("10", "11"):
        workplace.index.add(
            make_wheel("alpha", tag=f"cp3{minor}-cp3{minor}-manylinux_2_17_aarch64")
        )
    workplace.index.add(make_sdist("alpha"))
    workplace.script("solve.py", "alpha")
    done = workplace.run(
        "bundle", "solve.py", "--python", "3.13", "--platform", "aarch64-manylinux_2_28"
    )
    assert done.returncode == 1
    assert "hint: use --python 3.11, which has wheels" in done.stderr
    assert "--build" not in done.stderr
    done = workplace.run("bundle", "solve.py", "--python", "3.13")
    assert (done.returncode, "hint: build from source: --build alpha" in done.stderr) == (1, True)


def test_a_python_that_the_scripts_refuse_is_told_of_each_with_one_that_they_allow(
    workplace: Workplace,
) -> None:
    workplace.script("one.py", requires=">=3.13,<3.14")
    workplace.script("two.py", requires="==3.10.*")
    done = workplace.run("bundle", "one.py", "two.py", "--python", "3.12")
    assert done.returncode == 1
    assert (
        "one.py: requires-python <3.14,>=3.13 excludes Python 3.12\nhint: use --python 3.13"
        in done.stderr
    )
    assert (
        "two.py: requires-python ==3.10.* excludes Python 3.12\nhint: use --python 3.10"
        in done.stderr
    )


def test_all_broken_scripts_are_named_at_once(workplace: Workplace) -> None:
    (workplace.folder / "one.py").write_text("import numpy\n")
    workplace.script("two.py", "no dependency!")
    (workplace.folder / "three.py").write_text(
        "# /// script\n# [tool.bundler]\n# output = 'x'\n# ///\n"
    )
    done = workplace.run("bundle", "one.py", "two.py", "three.py")
    assert done.returncode == 1
    assert [name for name in ("one.py", "two.py", "three.py") if name in done.stderr] == [
        "one.py",
        "two.py",
        "three.py",
    ]
    assert "unknown key tool.bundler.output\nhint: did you mean outputs?" in done.stderr


@pytest.mark.parametrize(
    ("name", "meant"), [("nunpy", "numpy"), ("cv2", "opencv-python"), ("Scipi", "scipy")]
)
def test_a_misspelled_package_gets_a_suggestion(
    workplace: Workplace, name: str, meant: str
) -> None:
    workplace.script("solve.py", name)
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert (
        done.returncode,
        f"hint: did you mean {meant} instead of {name.lower()}?" in done.stderr,
    ) == (1, True)


@pytest.mark.parametrize("variable", ["UV_NO_CONFIG", "UV_CONFIG_FILE"])
def test_an_index_of_the_script_counts_also_where_uv_is_told_to_read_other_settings(
    workplace: Workplace, other: Index, variable: str
) -> None:
    other.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha", uv=f'[[tool.uv.index]]\nurl = "{other.url}/simple"')
    (workplace.folder / "settings.toml").write_text("offline = false\n")
    workplace.environment[variable] = (
        "1" if variable == "UV_NO_CONFIG" else str(workplace.folder / "settings.toml")
    )
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 0, done.stderr


def test_what_uv_refuses_in_a_script_is_refused(workplace: Workplace) -> None:
    workplace.script("solve.py", uv="environments = [\"sys_platform == 'linux'\"]")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert (done.returncode, "unknown field `environments`" in done.stderr) == (1, True)


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_an_index_on_the_network_cannot_have_a_file_of_this_machine_read(
    workplace: Workplace, make: Any
) -> None:
    filename, data = make("alpha")
    (workplace.folder / filename).write_bytes(data)
    workplace.index.links[filename] = (workplace.folder / filename).as_uri()
    workplace.index.add((filename, data))
    workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--build", "alpha")
    assert (done.returncode, "links to a file on this machine" in done.stderr) == (1, True), (
        done.stderr
    )
    assert list(workplace.folder.glob("*.bundle")) == []


def test_a_failure_of_all_targets_is_told_once_and_those_of_some_are_told_together(
    workplace: Workplace,
) -> None:
    for name, tag in (("alpha", "win_amd64"), ("beta", "manylinux_2_17_x86_64")):
        workplace.index.add(make_wheel(name, tag=f"py3-none-{tag}"))
    targets = ["--python", "3.12", "--platform", LINUX, "--platform", "windows"]
    workplace.script("solve.py", "alpha", "beta")
    done = workplace.run("bundle", "solve.py", *targets)
    assert done.returncode == 1
    assert (
        f"for Python 3.12 on {LINUX}\n    cause: Because alpha==1.0 has no wheels for this target"
        in done.stderr
    )
    assert (
        "for Python 3.12 on x86_64-pc-windows-msvc\n    cause: Because beta==1.0 has no wheels"
        in done.stderr
    )
    workplace.script("solve.py", "nosuchthing")
    done = workplace.run("bundle", "solve.py", *targets)
    assert done.stderr.count("nosuchthing was not found") == 1
    assert f"for Python 3.12 on {LINUX}, Python 3.12 on x86_64-pc-windows-msvc\n" in done.stderr


def test_an_index_that_cannot_be_reached_has_a_hint_about_the_network(workplace: Workplace) -> None:
    workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple")
    assert done.returncode == 1
    assert (
        "hint: check the network, the proxy (HTTPS_PROXY) and the URL of the index" in done.stderr
    )
