from __future__ import annotations

from pathlib import Path

from bundler.errors import Damaged, Faults, NoBundle
from wheelhouse.errors import DownloadsFailed, Misfit, NoWheels, StoreConflict, UvFailed, redacted


def test_credentials_never_reach_a_sentence() -> None:
    url = "https://me:secret@x.test/simple"
    refused = NoWheels("s.py", "3.12", [Misfit(project="a", version="1", reason="none")], {"a": "1"})
    refused.words = f"tried {url}"
    sentences = [
        redacted(f"see {url} and http://token@y.test/"),
        str(UvFailed("uv said no.", f"failed to fetch {url}")),
        str(DownloadsFailed([("a.whl", url, f"cannot reach {url}")])),
        str(refused),
    ]
    for sentence in sentences:
        assert "secret" not in sentence
        assert "token" not in sentence
        assert "x.test" in sentence or "3.12" in sentence


def test_lists_of_faults_are_sorted_and_told_once() -> None:
    assert str(Faults([ValueError("b"), ValueError("a"), ValueError("b")])) == "a\nb"
    damaged = str(Damaged(Path("x"), ["m2", "m1"], ["c"], ["f"]))
    assert damaged.splitlines()[1:5] == ["  missing  m1", "  missing  m2", "  changed  c", "  foreign  f"]


def test_a_conflict_names_both_digests() -> None:
    text = str(StoreConflict(Path("/share"), [("a.whl", "1" * 64, "2" * 64)]))
    assert "there sha256 1111" in text
    assert "here 2222" in text
    assert "Nothing was published" in text


def test_the_choice_of_bundles_is_listed() -> None:
    text = str(NoBundle(Path("/work"), [Path("b.bundle"), Path("a.bundle")]))
    assert text == "/work: 2 bundles here. Name those to publish:\n  a.bundle\n  b.bundle"
    assert "Make one with `bundle SCRIPT`" in str(NoBundle(Path("/work"), []))


def test_a_password_may_hold_quotes() -> None:
    for password in ("it's", 'a"b', "<c>", "d@e"):
        assert redacted(f"got 'http://me:{password}@x.test/a.whl'") == "got 'http://x.test/a.whl'"
