from __future__ import annotations

import pytest

from wheelhouse.errors import PythonRequestError
from wheelhouse.python_request import PythonRequest, parse_python_request


@pytest.mark.parametrize(
    ("text", "canonical", "implementation", "version", "free_threaded"),
    [
        ("3.12", "3.12", "cpython", "3.12", False),
        ("cpython@3.12.4", "3.12.4", "cpython", "3.12.4", False),
        ("3.13t", "3.13t", "cpython", "3.13", True),
        ("3.14.2+freethreaded", "3.14.2t", "cpython", "3.14.2", True),
        ("pypy@3.10", "pypy3.10", "pypy", "3.10", False),
        ("pypy3.11.15", "pypy3.11.15", "pypy", "3.11.15", False),
    ],
)
def test_a_runtime_is_spelled_as_uv_spells_it(
    text: str, canonical: str, implementation: str, version: str, free_threaded: bool
) -> None:
    runtime = parse_python_request(text)
    assert runtime == PythonRequest(
        implementation=implementation, version=version, free_threaded=free_threaded
    )
    assert str(runtime) == canonical
    assert parse_python_request(canonical) == runtime


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "2.7",
        "banana",
        "3.012",
        "3.12rc1",
        "3.12.1.2",
        ">=3.11",
        "../3.12",
        "3.12t",
        "pypy3.13t",
        "graalpy3.11",
    ],
)
def test_what_is_no_python_that_a_target_can_have_is_refused(text: str) -> None:
    with pytest.raises(PythonRequestError):
        parse_python_request(text)


def tags(python: str) -> set[str]:
    return {str(tag) for tag in parse_python_request(python).tags(["win_amd64"])}


def test_a_free_threaded_python_takes_no_wheels_of_the_stable_abi_nor_those_for_a_global_lock() -> (
    None
):
    found = tags("3.13t")
    assert {"cp313-cp313t-win_amd64", "cp313-none-win_amd64", "py3-none-any"} <= found
    assert not {"cp313-cp313-win_amd64", "cp39-abi3-win_amd64"} & found


def test_a_version_of_pypy_takes_what_is_compiled_only_where_all_its_releases_would() -> None:
    assert "pp310-pypy310_pp73-win_amd64" in tags("pypy3.10")
    assert "pp311-pypy311_pp73-win_amd64" in tags("pypy3.11.15")
    assert "pp311-pypy311_pp80-win_amd64" in tags("pypy3.11.16")
    assert "pp312-pypy312_pp80-win_amd64" in tags("pypy3.12")
    assert not [tag for tag in tags("pypy3.11") if "_pp" in tag]
    assert "py3-none-any" in tags("pypy3.11")
    assert not [tag for tag in tags("pypy3.10") if tag.startswith("cp")]


def test_the_series_of_a_runtime_has_no_patch_release() -> None:
    assert str(parse_python_request("3.13.2t").series) == "3.13t"
    assert str(parse_python_request("pypy3.10.16").series) == "pypy3.10"
