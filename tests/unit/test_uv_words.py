from __future__ import annotations

import pytest

from wheelhouse.resolve.uv_words import plain_words, split_words


def test_warnings_are_told_apart_from_progress_and_the_error() -> None:
    words = (
        "Using CPython 3.11.7\nwarning: The package `a==1` does not have an extra named `x`\n"
        "warning: `b==1` is yanked\n  more about it\nwarning: `b==1` is yanked\n  more about it\n"
        "warning: The requested interpreter resolved to Python 3.11\nResolved 2 packages in 1ms\n"
    )
    warnings, error = split_words(f"{words}error: No solution found\n\nhint: warning: no\n")
    assert warnings == (
        "The package `a==1` does not have an extra named `x`",
        "`b==1` is yanked\n  more about it",
    )
    assert error == "error: No solution found\n\nhint: warning: no"
    assert split_words("no error line\n") == ((), "no error line")


@pytest.mark.parametrize(
    ("hint", "plain"),
    [
        ("(try: `--prerelease=allow`)", '(try: `prerelease = "allow"` in [tool.uv])'),
        (
            "(try: `--prerelease-package a=allow`)",
            '(try: `prerelease-package = { a = "allow" }` in [tool.uv])',
        ),
        ("use `--find-links <uri>`", "use `find-links` in [tool.uv]"),
    ],
)
def test_advice_about_options_of_uv_names_settings(hint: str, plain: str) -> None:
    assert plain_words(f"hint: {hint}", "invented", "s.py", []) == f"hint: {plain}"


def test_advice_about_environments_that_were_not_chosen_by_users_is_left_out() -> None:
    words = (
        "error: No solution\n\nhint: The resolution failed for an environment that is not the current one, consider "
        "limiting the environments with `tool.uv.environments`.\n\nhint: Useful"
    )
    assert plain_words(words, "invented", "s.py", []) == "error: No solution\nhint: Useful"
