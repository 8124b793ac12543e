"""Ratings of vulnerabilities."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.assessment.severity import Severity, severity_of

V2 = {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}
V3_MEDIUM = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:L/UI:R/S:U/C:L/I:L/A:L"}
V3_CRITICAL = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
V4 = {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, Severity.UNKNOWN),
        ({"severity": [V2]}, Severity.HIGH),
        ({"severity": [V3_MEDIUM]}, Severity.MEDIUM),
        ({"severity": [V3_MEDIUM, V3_CRITICAL]}, Severity.CRITICAL),
        ({"severity": [V4]}, Severity.CRITICAL),
        (
            {"severity": [V3_CRITICAL], "database_specific": {"severity": "MODERATE"}},
            Severity.MEDIUM,
        ),
        ({"database_specific": {"severity": "strange"}, "severity": [V3_MEDIUM]}, Severity.MEDIUM),
        ({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:X"}]}, Severity.UNKNOWN),
        ({"severity": [{"type": "CVSS_V3", "score": ""}]}, Severity.UNKNOWN),
        ({"severity": [{}], "database_specific": None}, Severity.UNKNOWN),
    ],
)
def test_the_rating_is_that_of_the_database_or_of_the_vectors(
    record: dict[str, Any], expected: Severity
) -> None:
    assert severity_of(record, []) is expected


def test_the_rating_may_be_given_for_a_package() -> None:
    assert severity_of({}, [{"severity": [V3_MEDIUM]}]) is Severity.MEDIUM
    assert severity_of({}, [{"ecosystem_specific": {"severity": "LOW"}}]) is Severity.LOW


def test_an_unknown_rating_is_never_below_a_threshold() -> None:
    assert max(Severity) is Severity.UNKNOWN
    assert str(Severity.CRITICAL) == "critical"
