from __future__ import annotations

from typing import Any

import pytest

from bundler.sources.mappings import Mapping, parse_mappings, problems_of
from bundler.sources.parameters import Parameter

GOOD = {"parameter": "x", "file": "a.txt", "key-string": '"x"', "tokenizer": ":"}


def test_a_mapping_has_the_fields_of_the_servers_own_model() -> None:
    table = {**GOOD, "line": 3, "column": 1, "string-quote": "'", "decimal-symbol": ","}
    (mapping,) = parse_mappings([table])
    assert mapping == Mapping(
        parameter="x",
        file="a.txt",
        key_string='"x"',
        tokenizer=":",
        line=3,
        column=1,
        string_quote="'",
        decimal_symbol=",",
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "must be a list of tables"),
        ([1], "entry 1 must be a table"),
        ([GOOD, {**GOOD, "tokeniser": ":"}], "entry 2 has the unknown key tokeniser"),
        ([{**GOOD, "line": "3"}], "line must be an integer"),
        ([{**GOOD, "line": True}], "line must be an integer"),
        ([{**GOOD, "key-string": 3}], "key-string must be a string"),
        ([{**GOOD, "parameter": ""}], "entry 1 has no parameter"),
        ([{"parameter": "x"}], "entry 1 has no file"),
        ([{**GOOD, "file": "../a"}], "file must be a relative path"),
        ([{"parameter": "x", "file": "a"}], "needs key-string or line"),
    ],
)
def test_a_wrong_mapping_is_explained(value: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        parse_mappings(value)


def test_each_problem_of_several_mappings_is_named_once() -> None:
    mappings = parse_mappings([GOOD, GOOD, {**GOOD, "parameter": "y"}])
    parameters = [Parameter(name="x", type="float")]
    assert problems_of(mappings, parameters, ["a.txt"]) == [
        "a mapping names the parameter y, which no step declares"
    ]
