"""The rules of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from bundler.assessment.policy import Policy, read_policy, violations
from bundler.assessment.severity import Severity
from bundler.errors import BundlerError


def read(folder: Path, text: str) -> Policy:
    (folder / "site.toml").write_text(text)
    return read_policy(folder / "site.toml")


def review(**changes: Any) -> dict[str, Any]:
    licence = {"expression": "MIT", "texts": [], "text": "MIT"}
    package = {
        "project": "alpha",
        "version": "1.0",
        "licence": licence,
        "age-days": 30,
        **changes.pop("package", {}),
    }
    signatures = {
        "checked": True,
        "signers": [{"names": ["anna@site", "team@site"]}],
        "problem": None,
    }
    return {
        "packages": [package],
        "vulnerabilities": None,
        "signatures": signatures,
        "vouched": True,
        **changes,
    }


def broken(policy: Policy, **changes: Any) -> list[tuple[str, str]]:
    return [(entry.rule, entry.fact) for entry in violations(policy, review(**changes))]


def finding(severity: str, accepted: object = None) -> dict[str, Any]:
    row = {
        "id": "CVE-1",
        "project": "alpha",
        "version": "1.0",
        "severity": severity,
        "accepted": accepted,
    }
    return {"findings": [row], "advisories": {"malformed": []}}


def test_all_keys_are_read(tmp_path: Path) -> None:
    policy = read(
        tmp_path,
        'allowed-licences = ["MIT"]\nmaximum-severity = "medium"\nminimum-release-age = "7 d"\n'
        'required-signers = ["anna@site"]\nforbidden-packages = ["beta<2"]\n',
    )
    assert policy == Policy(
        allowed_licences=("MIT",),
        maximum_severity=Severity.MEDIUM,
        minimum_release_age=7.0,
        required_signers=("anna@site",),
        forbidden_packages=(Requirement("beta<2"),),
    )
    assert read(tmp_path, "") == Policy()


def test_everything_invalid_is_reported_at_once(tmp_path: Path) -> None:
    text = 'allowed-licenses = []\nmaximum-severity = "fatal"\n'
    text += 'minimum-release-age = "soon"\nforbidden-packages = ["!"]\n'
    with pytest.raises(BundlerError) as caught:
        read(tmp_path, f"{text}required-signers = 5\n")
    message = str(caught.value)
    assert "unknown key allowed-licenses\nhint: did you mean allowed-licences?" in message
    assert (
        "maximum-severity: must be one of none, low, medium, high, critical (got 'fatal')"
        in message
    )
    for key in ("minimum-release-age", "forbidden-packages", "required-signers"):
        assert f"site.toml: {key}: " in message


@pytest.mark.parametrize("text", ["[", "\x00", "a = " + "[" * 5000])
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BundlerError, match="invalid TOML|unknown key"):
        read(tmp_path, text)


def test_a_policy_without_rules_allows_everything() -> None:
    assert broken(Policy(), vulnerabilities=finding("critical")) == []


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ({"expression": "mit", "texts": [], "text": ""}, True),
        ({"expression": "MIT OR GPL-3.0-only", "texts": [], "text": ""}, True),
        ({"expression": "MIT AND GPL-3.0-only", "texts": [], "text": ""}, False),
        ({"expression": None, "texts": ["BSD License"], "text": ""}, True),
        ({"expression": None, "texts": ["BSD License", "Proprietary"], "text": ""}, False),
        ({"expression": None, "texts": [], "text": "not declared"}, False),
        ({"expression": "(" * 99 + "MIT" + ")" * 99, "texts": [], "text": ""}, False),
    ],
)
def test_licences_are_allowed_by_identifier_or_by_their_own_words(
    licence: dict[str, Any], allowed: bool
) -> None:
    policy = Policy(allowed_licences=("MIT", "BSD License"))
    assert (broken(policy, package={"licence": licence}) == []) is allowed


@pytest.mark.parametrize(
    ("severity", "good"), [("low", True), ("medium", True), ("high", False), ("unknown", False)]
)
def test_severity_has_a_limit_and_unknown_is_above_it(severity: str, good: bool) -> None:
    policy = Policy(maximum_severity=Severity.MEDIUM)
    assert (broken(policy, vulnerabilities=finding(severity)) == []) is good
    assert broken(policy, vulnerabilities=finding(severity, {"reason": "x"})) == []


def test_what_was_not_looked_at_is_a_violation() -> None:
    assert broken(Policy(maximum_severity=Severity.HIGH)) == [
        ("maximum-severity", "it was not audited; use --advisories")
    ]
    policy = Policy(minimum_release_age=7.0)
    assert broken(policy, package={"age-days": None}) == [
        ("minimum-release-age", "its upload time is unknown")
    ]
    unchecked = {"checked": False, "signers": [], "problem": None}
    assert broken(Policy(required_signers=("anna@site",)), signatures=unchecked) == [
        ("required-signers", "no signature was checked; use --trust")
    ]


def test_advisories_that_cannot_be_read_are_a_violation() -> None:
    audit = {"findings": [], "advisories": {"malformed": ["a.json"]}}
    assert broken(Policy(maximum_severity=Severity.HIGH), vulnerabilities=audit) == [
        ("maximum-severity", "some of them could not be read")
    ]


@pytest.mark.parametrize("value", ["7", '"7"', '"7.5"', "true"])
def test_an_age_needs_a_unit(tmp_path: Path, value: str) -> None:
    with pytest.raises(BundlerError, match="needs a unit, such as 7 d"):
        read(tmp_path, f"minimum-release-age = {value}")


def test_a_release_must_be_old_enough() -> None:
    policy = Policy(minimum_release_age=7.0)
    assert broken(policy, package={"age-days": 7}) == []
    ((rule, fact),) = broken(policy, package={"age-days": 7}, vouched=False)
    assert (rule, fact.partition(";")[0]) == (
        "minimum-release-age",
        "its upload time is only claimed",
    )
    assert broken(policy, package={"age-days": 1}) == [
        ("minimum-release-age", "it was uploaded 1 day ago")
    ]


def test_every_required_signer_must_have_signed() -> None:
    policy = Policy(required_signers=("anna@site", "ben@site"))
    assert [entry.subject for entry in violations(policy, review())] == ["ben@site"]


def test_packages_can_be_forbidden_in_some_versions() -> None:
    policy = Policy(
        forbidden_packages=(Requirement("Alpha<2"), Requirement("alpha>=3"), Requirement("beta"))
    )
    assert broken(policy) == [("forbidden-packages", "Alpha<2 is forbidden")]


def test_the_gravest_violations_come_first() -> None:
    policy = Policy(
        allowed_licences=("ISC",),
        maximum_severity=Severity.LOW,
        required_signers=("ben@site",),
        forbidden_packages=(Requirement("alpha"),),
    )
    assert [rule for rule, _ in broken(policy)] == [
        *("required-signers", "maximum-severity", "forbidden-packages", "allowed-licences"),
    ]
