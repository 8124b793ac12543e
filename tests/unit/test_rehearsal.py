from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given, strategies as st

from bundler.jobs.rehearsal import for_this_machine, wildcards


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.png", ["a.png", ".png"], ["a.txt", "sub/a.png"]),
        ("**.png", ["a.png", "sub/a.png", "sub/deep/a.png"], ["a.txt"]),
        ("**/a.png", ["a.png", "sub/a.png"], ["ba.png"]),
        ("out/**", ["out/a", "out/b/c"], ["out", "a"]),
        ("a?c.[ch]", ["abc.c", "abc.h"], ["a/c.c", "abc.x"]),
        ("[!a]b", ["bb", "!b"], ["ab"]),
    ],
)
def test_wildcards_stand_for_paths(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [path for path in matching if not wildcards(pattern).fullmatch(path)] == []
    assert [path for path in others if wildcards(pattern).fullmatch(path)] == []


@given(st.text(alphabet="ab*?[]!-/.\\\n^"))
def test_any_pattern_is_an_expression(pattern: str) -> None:
    try:
        wildcards(pattern)
    except Exception as error:  # noqa: BLE001 - what is tested
        pytest.fail(f"{pattern!r}: {error}")


@given(st.text(alphabet="ab*?."), st.text(alphabet="ab."))
def test_without_folders_the_meaning_is_that_of_the_standard_library(
    pattern: str, name: str
) -> None:
    assert bool(wildcards(pattern).fullmatch(name)) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "[ERROR] node host-7: uv finds no Python 3.12 on this node",
            "[ERROR] uv finds no Python 3.12 on this node",
        ),
        (
            "[ERROR] hint: ask the administrator of the nodes to install one, or bundle with X",
            "[ERROR] hint: install one, or bundle with X",
        ),
        ("node x: printed by the script", "node x: printed by the script"),
    ],
)
def test_a_rehearsal_speaks_to_somebody_at_this_machine(line: str, shown: str) -> None:
    assert for_this_machine(line) == shown
