from __future__ import annotations

import base64
from pathlib import Path

from bundler.errors import BundlerError, CombinedError, DamagedError
from wheelhouse.errors import (
    DownloadError,
    Misfit,
    NoWheelsError,
    UvError,
    WheelhouseError,
    redacted,
)


def test_credentials_never_reach_a_sentence() -> None:
    url = "https://me:secret@x.test/simple"
    refused = NoWheelsError(
        "s.py", "3.12", [Misfit(project="a", version="1", reason="none")], {"a": "1"}
    )
    refused.words = f"tried {url}"
    sentences = [
        redacted(f"see {url} and http://token@y.test/"),
        str(UvError("uv said no.", f"failed to fetch {url}")),
        str(DownloadError([("a.whl", url, f"cannot reach {url}")])),
        str(refused),
    ]
    for sentence in sentences:
        assert "secret" not in sentence
        assert "token" not in sentence
        assert "x.test" in sentence or "3.12" in sentence


def test_lists_of_faults_are_sorted_and_told_once() -> None:
    assert str(CombinedError([ValueError("b"), ValueError("a"), ValueError("b")])) == "a\nb"
    damaged = str(DamagedError(Path("x"), ["m2", "m1"], ["c"], ["f"]))
    assert damaged.splitlines()[1:5] == [
        "  missing  m1",
        "  missing  m2",
        "  changed  c",
        "  foreign  f",
    ]


def test_an_error_says_what_is_wrong_then_the_facts_then_what_to_do() -> None:
    fault = WheelhouseError("x: is wrong", facts=["one", "two"], hint="do that")
    assert str(fault) == "x: is wrong\n  one\n  two\nhint: do that"
    assert (fault.message, fault.facts, fault.hint) == ("x: is wrong", ["one", "two"], "do that")
    assert str(BundlerError("plain")) == "plain"


def test_every_error_of_bundler_is_one_of_wheelhouse_so_that_one_name_catches_all() -> None:
    assert issubclass(BundlerError, WheelhouseError)


def test_what_another_program_said_is_cut_down_to_its_first_and_last_lines() -> None:
    lines = str(
        UvError("uv refused", "\n".join(f"line {number}" for number in range(1000)))
    ).splitlines()
    assert lines[:2] == ["uv refused", "  line 0"]
    assert lines[-1] == "  line 999"
    assert "  ... (940 lines left out)" in lines


def test_a_password_may_hold_quotes() -> None:
    for password in ("it's", 'a"b', "<c>", "d@e"):
        assert redacted(f"got 'http://me:{password}@x.test/a.whl'") == "got 'http://x.test/a.whl'"


def test_a_login_that_a_server_repeats_is_hidden_and_words_are_not() -> None:
    for user in ("me:secret", "a:b", "anna:p\xe4ss word"):
        word = base64.b64encode(user.encode()).decode()
        for scheme in ("Basic", "BASIC", "basic"):
            assert word.rstrip("=") not in redacted(
                f"you sent Authorization: {scheme} {word}, which is wrong"
            )
    assert "eyJh" not in redacted("Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc-def")
    for text in (
        "Basic authentication required",
        "a token is missing.",
        "the bearer must sign",
        "basic: yes",
    ):
        assert redacted(text) == text
