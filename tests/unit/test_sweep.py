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
        ([{"n": 1, "": 1}], "a parameter has an empty name"),
        ([{"x": 1}], "n has no value in 1 job"),
        ([{"xx": 1, "n": 1}], "no script declares xx"),
        ([{"x": float("nan"), "n": 1}], "x must be of type float"),
        ([{"x": 10**400, "n": 1}], "x: int too large"),
        ([{"x": [1], "n": 1}], "must be a number, a boolean or a string"),
    ):
        with pytest.raises(SweepError, match=words):
            parameters(rows, known)


def typed(tmp_path: Path, text: str, *known: Parameter) -> list[dict[str, Any]]:
    """Return the rows of the CSV file `text`, completed as for a submission."""
    (tmp_path / "table.csv").write_text(text)
    rows = read_table(tmp_path / "table.csv")
    found = parameters(rows, known)
    return complete(rows, {each.name: each for each in found})


@pytest.mark.parametrize("cell", ["00123", "-01", "+007", "00.5", "0e0", "0", "0.5", "-0.5"])
def test_a_cell_that_starts_with_zeros_is_text_unless_it_is_declared_as_a_number(
    tmp_path: Path, cell: str
) -> None:
    is_number = cell in ("0e0", "0", "0.5", "-0.5")
    expected = float(cell) if is_number else cell
    assert typed(tmp_path, f"part,n\n{cell},1\n")[0]["part"] == expected
    (row,) = typed(tmp_path, f"part\n{cell}\n", Parameter(name="part", type="float"))
    assert row["part"] == float(cell)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("int", "2.0", 2),
        ("int", "1e3", 1000),
        ("int", "007", 7),
        ("bool", "1", True),
        ("bool", "0", False),
        ("float", "2", 2.0),
        ("string", "2.0", "2.0"),
    ],
)
def test_a_cell_has_the_type_that_is_declared(
    tmp_path: Path, kind: str, cell: str, value: object
) -> None:
    (row,) = typed(tmp_path, f"x\n{cell}\n", Parameter(name="x", type=kind))
    assert row["x"] == value
    assert type(row["x"]) is type(value)


@pytest.mark.parametrize(("kind", "cell"), [("int", "2.5"), ("bool", "2"), ("bool", "1.0")])
def test_a_cell_of_another_type_than_is_declared_is_refused(
    tmp_path: Path, kind: str, cell: str
) -> None:
    with pytest.raises(SweepError, match=f"x must be of type {kind}"):
        typed(tmp_path, f"x\n{cell}\n", Parameter(name="x", type=kind))


def test_an_empty_cell_is_the_default(tmp_path: Path) -> None:
    known = [
        Parameter(name="x", type="float", default=1.0),
        Parameter(name="name", type="string", default="beam"),
        Parameter(name="note", type="string"),
    ]
    assert typed(tmp_path, "x,name,note\n,,\n2,rod,a\n", *known) == [
        {"x": 1.0, "name": "beam", "note": ""},
        {"x": 2.0, "name": "rod", "note": "a"},
    ]


def test_an_empty_cell_without_a_default_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="x has no value in 1 job"):
        typed(tmp_path, "x,y\n1,1\n,2\n")
    assert typed(tmp_path, "x,y\na,1\n,2\n")[1] == {"x": "", "y": 2}


@pytest.mark.parametrize(
    ("value", "is_allowed"), [(0.3, True), (0.25, False), (1.0, True), (0.0, True)]
)
def test_a_value_is_a_multiple_of_the_step(value: float, is_allowed: bool) -> None:
    known = [Parameter(name="x", type="float", lower=0.0, upper=1.0, step=0.1)]
    if is_allowed:
        parameters([{"x": value}], known)
        return
    with pytest.raises(SweepError, match=r"x = 0.25 is not 0.0 plus a multiple of its step 0.1"):
        parameters([{"x": value}], known)
