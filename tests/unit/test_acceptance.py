"""Findings that somebody accepted, in OpenVEX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bundler.assessment.acceptance import Acceptance, acceptance_of, read_acceptances
from bundler.errors import BundlerError

GOOD: dict[str, Any] = {
    "vulnerability": {"name": "CVE-2026-1"},
    "products": [{"@id": "pkg:pypi/Alpha.x@1.0"}, "pkg:pypi/beta"],
    "status": "not_affected",
    "justification": "vulnerable_code_not_in_execute_path",
    "timestamp": "2026-02-03T00:00:00Z",
}


def read(folder: Path, *statements: Any, **more: Any) -> list[Acceptance]:
    path = folder / "accepted.json"
    path.write_text(
        json.dumps({"@context": "https://openvex.dev/ns/v0.2.0", "statements": statements, **more})
    )
    return read_acceptances(path)


def test_a_statement_accepts_a_vulnerability_in_its_products(tmp_path: Path) -> None:
    reason = "vulnerable_code_not_in_execute_path"
    accepted = sorted(read(tmp_path, GOOD), key=lambda entry: entry.project)
    assert [(entry.project, entry.version, entry.reason, entry.day) for entry in accepted] == [
        ("alpha-x", "1.0", reason, "2026-02-03"),
        ("beta", None, reason, "2026-02-03"),
    ]
    assert acceptance_of(accepted, [["GHSA-1", "CVE-2026-1"]], "alpha-x", "1.0") == accepted[0]
    assert acceptance_of(accepted, [["CVE-2026-1"]], "alpha-x", "1.1") is None
    assert acceptance_of(accepted, [["CVE-2026-1"]], "beta", "7") == accepted[1]
    assert acceptance_of(accepted, [["CVE-2026-2"]], "beta", "7") is None


def test_each_vulnerability_of_a_finding_must_be_accepted(tmp_path: Path) -> None:
    other = {**GOOD, "vulnerability": "CVE-2026-2"}
    both = [["CVE-2026-1"], ["CVE-2026-2"]]
    assert acceptance_of(read(tmp_path, GOOD), both, "beta", "1") is None
    assert acceptance_of(read(tmp_path, GOOD, other), both, "beta", "1") is not None


@pytest.mark.parametrize("status", ["affected", "under_investigation"])
def test_the_newest_statement_counts(tmp_path: Path, status: str) -> None:
    later = {**GOOD, "status": status, "timestamp": "2026-05-01T00:00:00Z"}
    same_day = {**GOOD, "status": status}
    earlier = {**GOOD, "status": status, "timestamp": "2026-01-01T00:00:00Z"}
    for statements, accepted in (
        ([GOOD, later], False),
        ([later, GOOD], False),
        ([GOOD, earlier], True),
    ):
        assert (
            acceptance_of(read(tmp_path, *statements), [["CVE-2026-1"]], "beta", "1") is not None
        ) is accepted
    assert acceptance_of(read(tmp_path, GOOD, same_day), [["CVE-2026-1"]], "beta", "1") is None
    assert acceptance_of(read(tmp_path, same_day, GOOD), [["CVE-2026-1"]], "beta", "1") is not None


def test_a_statement_of_its_impact_says_more_than_the_justification(tmp_path: Path) -> None:
    (entry, _) = read(tmp_path, {**GOOD, "impact_statement": "we never\x1b[31m parse XML\n"})
    assert entry.reason == "we never[31m parse XML"


def test_the_day_may_be_that_of_the_document(tmp_path: Path) -> None:
    statement = {key: value for key, value in GOOD.items() if key != "timestamp"}
    assert {entry.day for entry in read(tmp_path, statement, timestamp="2026-05-06T07:08:09Z")} == {
        "2026-05-06"
    }


@pytest.mark.parametrize("status", ["affected", "under_investigation"])
def test_what_still_matters_is_not_accepted(tmp_path: Path, status: str) -> None:
    statement = {**GOOD, "status": status, "justification": None}
    assert acceptance_of(read(tmp_path, statement), [["CVE-2026-1"]], "beta", "1") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "fine"}, "statement 1 has the unknown status 'fine'"),
        ({"justification": None}, "statement 1 needs a vulnerability, a reason"),
        ({"timestamp": "yesterday"}, "and a timestamp"),
        ({"timestamp": "2026-99-99"}, "and a timestamp"),
        ({"products": [{"@id": "pkg:pypi/a", "subcomponents": [{}]}]}, "limited to subcomponents"),
        ({"products": ["pkg:npm/left-pad@1"]}, "which is not like pkg:pypi/NAME@VERSION"),
        ({"products": 5}, "statement 1"),
        ({"vulnerability": {}}, "statement 1 lacks 'name'"),
    ],
)
def test_an_invalid_statement_is_an_error_and_not_ignored(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(BundlerError, match=words) as caught:
        read(tmp_path, {**GOOD, **change})
    assert "\nhint: see `bundler guide approval`" in str(caught.value)


def test_all_invalid_statements_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(BundlerError) as caught:
        read(tmp_path, GOOD, {**GOOD, "status": "a"}, {**GOOD, "status": "b"})
    assert "statement 2 " in str(caught.value)
    assert "statement 3 " in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "5", '{"statements": 5}', '{"statements": [5]}', "[" * 100_000]
)
def test_what_is_not_openvex_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "accepted.json").write_text(text)
    with pytest.raises(BundlerError, match="is not an OpenVEX document\nhint: "):
        read_acceptances(tmp_path / "accepted.json")
