"""Of the files of a release, a bundle has the one that uv and pip would choose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins.index import Index, serving
from tests.stand_ins.sources import source_sdist, write_source
from tests.stand_ins.wheels import make_wheel

LINUX = ["--python", "3.12", "--platform", "x86_64-manylinux_2_28"]


@pytest.fixture
def other() -> Iterator[Index]:
    with serving(Index()) as index:
        yield index


def wheels(workplace: Workplace, *arguments: str, **environment: str) -> list[str]:
    done = workplace.run(
        "bundle", "solve.py", *(arguments or LINUX), "--upgrade", cwd=None, **environment
    )
    assert done.returncode == 0, done.stderr
    return sorted(path.name for path in (workplace.folder / "solve.bundle" / "wheels").iterdir())


def tagged(name: str, version: str, tag: str, text: str = "") -> tuple[str, bytes]:
    """Return a wheel with a build tag or platform tag, such as 9-py3-none-any, and some bytes of its own."""
    _, data = make_wheel(name, version, files={"text.py": f"text = {text or tag!r}".encode()})
    return f"{name}-{version}-{tag}.whl", data


def test_the_highest_build_number_is_chosen_in_any_order(workplace: Workplace) -> None:
    for number in (148, 9, 141):
        workplace.index.add(tagged("alpha", "1.0", f"{number}-py3-none-any"))
    workplace.index.add(tagged("alpha", "1.0", "py3-none-any"))
    workplace.index.add(tagged("beta", "1.0", "2b-py3-none-any"))
    workplace.index.add(tagged("beta", "1.0", "2a-py3-none-any"))
    workplace.script("solve.py", "alpha", "beta")
    assert wheels(workplace) == ["alpha-1.0-148-py3-none-any.whl", "beta-1.0-2b-py3-none-any.whl"]


def test_a_better_tag_counts_more_than_a_build_number(workplace: Workplace) -> None:
    workplace.index.add(tagged("alpha", "1.0", "9-py3-none-any"))
    workplace.index.add(tagged("alpha", "1.0", "cp312-cp312-manylinux_2_17_x86_64"))
    workplace.script("solve.py", "alpha")
    assert wheels(workplace) == ["alpha-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]


def test_a_yanked_file_is_avoided_if_the_release_has_another_one(workplace: Workplace) -> None:
    yanked = "alpha-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    workplace.index.add(tagged("alpha", "1.0", "py3-none-any"))
    workplace.index.add(tagged("alpha", "1.0", "cp312-cp312-manylinux_2_17_x86_64"))
    workplace.script("solve.py", "alpha")
    assert wheels(workplace) == [yanked]
    workplace.index.facts[yanked] = {"yanked": "broken"}
    assert wheels(workplace) == ["alpha-1.0-py3-none-any.whl"]
    # Without a choice, uv decides.
    workplace.index.files.pop("alpha-1.0-py3-none-any.whl")
    workplace.script("solve.py", "alpha==1.0")
    done = workplace.run("bundle", "solve.py", *LINUX, "--upgrade")
    assert (done.returncode, "yanked" in done.stderr) == (0, True), done.stderr


def test_with_the_indexes_of_pip_each_wheel_comes_from_the_index_that_has_it(
    workplace: Workplace, other: Index
) -> None:
    """As where a mirror has the wheels of one Python only."""
    workplace.environment.pop("UV_DEFAULT_INDEX")
    workplace.environment |= {
        "PIP_INDEX_URL": f"{workplace.index.url}/simple",
        "PIP_EXTRA_INDEX_URL": f"{other.url}/simple",
    }
    for version in ("1.0", "2.0"):
        workplace.index.add(tagged("alpha", version, "cp312-cp312-manylinux_2_17_x86_64"))
        other.add(tagged("alpha", version, "cp311-cp311-manylinux_2_17_x86_64"))
    other.add(tagged("alpha", "3.0", "cp311-cp311-manylinux_2_17_x86_64"))
    expected = {"3.12": "alpha-2.0-cp312", "3.11": "alpha-3.0-cp311"}
    for dependency in ("alpha", "alpha==2.0"):
        workplace.script("solve.py", dependency)
        for python, start in expected.items():
            (name,) = wheels(
                workplace, "--replace", "--python", python, "--platform", "x86_64-manylinux_2_28"
            )
            assert name.startswith(
                start if dependency == "alpha" else f"alpha-2.0-cp{python.replace('.', '')}"
            )


def test_with_the_indexes_of_pip_folders_and_builds_work_as_well(
    workplace: Workplace, other: Index
) -> None:
    workplace.environment.pop("UV_DEFAULT_INDEX")
    workplace.environment |= {
        "PIP_INDEX_URL": f"{workplace.index.url}/simple",
        "PIP_EXTRA_INDEX_URL": f"{other.url}/simple",
    }
    workplace.index.add(make_wheel("alpha"))
    other.add(source_sdist("gamma"))
    write_source(workplace.folder / "lib", "lib")
    workplace.script(
        "solve.py", "alpha", "gamma", "lib", uv='[tool.uv.sources]\nlib = { path = "./lib" }'
    )
    names = [
        name.split("-")[0] for name in wheels(workplace, "--python", PYTHON, "--build", "gamma")
    ]
    assert names == ["alpha", "gamma", "lib"]
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--upgrade")
    assert "hint: build from source: --build gamma" in done.stderr


@pytest.mark.parametrize("how", ["--build", "--build-all", "folder"])
def test_an_older_version_with_wheels_is_found_although_another_package_is_built(
    workplace: Workplace, how: str
) -> None:
    for version, glibc in (("1.0", 17), ("2.0", 39)):
        workplace.index.add(tagged("native", version, f"py3-none-manylinux_2_{glibc}_x86_64"))
    workplace.index.add(source_sdist("gamma"))
    write_source(workplace.folder / "lib", "lib")
    if how == "folder":
        workplace.script(
            "solve.py", "native", "lib", uv='[tool.uv.sources]\nlib = { path = "./lib" }'
        )
    else:
        workplace.script("solve.py", "native", "gamma")
    options = {"--build": ["--build", "gamma"], "--build-all": ["--build-all"], "folder": []}[how]
    done = workplace.run("bundle", "solve.py", *LINUX, *options)
    assert done.returncode == 0, done.stderr
    assert (
        "gets other versions, because no wheels fit: native 2.0 -> 1.0\nhint: to keep the versions, use a"
        in done.stderr
    )
    names = [path.name for path in (workplace.folder / "solve.bundle" / "wheels").iterdir()]
    assert "native-1.0-py3-none-manylinux_2_17_x86_64.whl" in names


def test_a_requested_extra_is_never_lost(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("views", "2.1"))
    workplace.index.add(source_sdist("views", "3.0"))
    _, data = make_wheel(
        "views", "3.1", requires=["beta; extra == 'binary'"], headers=["Provides-Extra: binary"]
    )
    workplace.index.add(("views-3.1-py3-none-manylinux_2_39_x86_64.whl", data))
    workplace.index.add(make_wheel("beta"))
    workplace.script("solve.py", "views[binary]")
    done = workplace.run("bundle", "solve.py", *LINUX)
    assert done.returncode == 1
    assert "only versions without a requested extra have suitable wheels" in done.stderr
    workplace.script("solve.py", "views")
    assert wheels(workplace) == ["views-2.1-py3-none-any.whl"]


def test_a_wheel_that_excludes_the_python_of_a_target_is_a_warning_with_an_older_version(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("beta", "1.0"))
    workplace.index.add(make_wheel("beta", "1.5", requires_python="<3.12"))
    workplace.index.add(make_wheel("beta", "2.0", requires_python=">=3.8,<3.12"))
    workplace.script("solve.py", "beta")
    done = workplace.run("bundle", "solve.py", *LINUX, "--python", "3.11")
    assert done.returncode == 0
    words = (
        "warning: beta 2.0 excludes Python 3.12 (Requires-Python: <3.12,>=3.8), which uv ignores"
    )
    assert words in done.stderr.replace(">=3.8,<3.12", "<3.12,>=3.8")
    assert "hint: use --constraint with beta==1.0, which allows it" in done.stderr
    assert "3.11" not in done.stderr


def test_warnings_of_uv_reach_the_user(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha[fsat]")
    done = workplace.run("bundle", "solve.py", *LINUX)
    assert (
        "warning: solve.py: The package `alpha==1.0` does not have an extra named `fsat`"
        in done.stderr
    )
    workplace.script("solve.py", "alpha", uv='exclude-newer = "2026-01-01T00:00:00Z"')
    done = workplace.run("bundle", "solve.py", *LINUX, "--upgrade")
    assert done.returncode == 1
    assert "is missing an upload date" in done.stderr
