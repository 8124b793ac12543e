from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bundler.errors import SweepError
from bundler.jobs.sweep import complete, parameters, read_table, sweep
from bundler.sources.parameters import Parameter


def test_a_sweep_has_both_ends_and_no_rounding_dust() -> None:
    values = [row["x"] for row in sweep(["x=0:1:0.1"])]
    assert values == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert sweep(["n=1:3:1"]) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert sweep(["n=3:1:-1"]) == [{"n": 3}, {"n": 2}, {"n": 1}]


def test_several_sweeps_make_every_combination() -> None:
    rows = sweep(["x=1,2", "name=a,b", "deep=true,false"])
    assert len(rows) == 8
    found = parameters(rows, [])
    assert complete(rows, {each.name: each for each in found})[0] == {
        "x": 1,
        "name": "a",
        "deep": True,
    }


@pytest.mark.parametrize(
    "texts",
    [
        ["x"],
        ["=1"],
        ["x="],
        ["x=1", "x=2"],
        ["x=0:1:0"],
        ["x=0:1:-1"],
        ["x=a:b:c"],
        ["x=0:1e9:1"],
        ["x=0:nan:1"],
        ["x=0:10"],
        ["x=1:0.5:1"],
    ]
    + [["x=0:1e9999999:1"], ["x=0:1e999999:1"], ["x=0:1:1e-999999"], ["x=1:2:3:4"]],
)
def test_what_is_no_sweep_is_refused(texts: list[str]) -> None:
    with pytest.raises(SweepError):
        sweep(texts)


def test_sweeps_that_multiply_beyond_all_bounds_are_refused_before_they_are_made() -> None:
    with pytest.raises(SweepError, match="makes more than 1000000 jobs"):
        sweep([f"x{number}=0:1000:1" for number in range(6)])


@given(
    st.integers(-1000, 1000),
    st.integers(0, 200),
    st.sampled_from(["0.1", "0.25", "1", "3", "0.003"]),
)
def test_the_steps_of_a_sweep_are_even(start: int, count: int, step: str) -> None:
    stop = f"{float(start) + count * float(step):.6f}"
    values = [row["x"] for row in sweep([f"x={start}:{stop}:{step}"])]
    assert len(values) == count + 1
    assert all(
        math.isclose(value, start + number * float(step), abs_tol=1e-6)
        for number, value in enumerate(values)
    )


def test_tables_are_csv_with_names_or_json_objects(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeffx, name\n1, a\n2.5,b\n\n")
    rows = read_table(tmp_path / "a.csv")
    found = {each.name: each for each in parameters(rows, [])}
    assert complete(rows, found) == [{"x": 1.0, "name": "a"}, {"x": 2.5, "name": "b"}]
    as_texts = [Parameter(name="x", type="string"), Parameter(name="name", type="string")]
    (tmp_path / "b.csv").write_text('x,name\n007,"a\nb"\n1e3,true\n')
    typed = complete(read_table(tmp_path / "b.csv"), {each.name: each for each in as_texts})
    assert typed == [{"x": "007", "name": "a\nb"}, {"x": "1e3", "name": "true"}]
    (tmp_path / "a.json").write_text(json.dumps([{"x": 1}, {"x": 2}]))
    assert read_table(tmp_path / "a.json") == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "has no rows"),
        ("a.csv", "x\n", "has no rows"),
        ("a.csv", "x,y\n1,2\n3\n", "line 3 does not have one value for each name"),
        ("a.csv", "x,x\n1,2\n", "its first line has no parameter names, repeats one"),
        ("a.csv", "x;y\n1;2\n", "no commas"),
        ("a.csv", "x\n" + "a" * 200_000, "field larger than field limit"),
        ("a.json", "{", "is not a list of objects"),
        ("a.json", "[1]", "is not a list of objects"),
        ("a.json", "{}", "has no rows"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SweepError, match=words):
        read_table(tmp_path / name)


def test_parameters_get_the_type_that_all_values_have() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": 1, "c": True, "d": "x", "e": 1},
        {"a": 2, "b": 1.5, "c": False, "d": "y", "e": "z"},
    ]
    found = {parameter.name: parameter.type for parameter in parameters(rows, [])}
    assert found == {"a": "int", "b": "float", "c": "bool", "d": "string", "e": "string"}
    typed = complete(rows, {parameter.name: parameter for parameter in parameters(rows, [])})
    assert typed[0] == {"a": 1, "b": 1.0, "c": True, "d": "x", "e": "1"}


def test_what_a_script_says_of_its_parameters_is_kept_to() -> None:
    known = [
        Parameter(name="x", type="float", default=1.0, lower=0, upper=10),
        Parameter(name="n", type="int"),
    ]
    assert complete([{"n": 3}], {parameter.name: parameter for parameter in known}) == [
        {"x": 1.0, "n": 3}
    ]
    for rows, words in (
        ([{"x": 11, "n": 1}], "x = 11.0 is outside its bounds 0..10"),
        ([{"x": "a", "n": 1}], "x must be of type float"),
        ([{"n": 1.5}], "n must be of type int"),
        ([{"x": 1}], "n has no value in 1 job"),
        ([{"xx": 1, "n": 1}], "no script declares xx"),
        ([{"x": float("nan"), "n": 1}], "x must be of type float"),
        ([{"x": 10**400, "n": 1}], "x: int too large"),
        ([{"x": [1], "n": 1}], "must be a number, a boolean or a string"),
    ):
        with pytest.raises(SweepError, match=words):
            parameters(rows, known)
