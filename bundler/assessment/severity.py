"""How severe a vulnerability is, in the words of CVSS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError


class Severity(IntEnum):
    """The ratings of CVSS; UNKNOWN if a record has none, which ranks above CRITICAL."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4
    UNKNOWN = 5

    def __str__(self) -> str:
        return self.name.lower()


# GitHub says "moderate".
_WORDS = {
    "none": Severity.NONE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}


def severity_of(record: Mapping[str, Any], affected: Iterable[Mapping[str, Any]]) -> Severity:
    """Return the rating in an OSV record: that of the database, or else the highest of its CVSS vectors."""
    tables = [record, *affected]
    for table in tables:
        for key in ("database_specific", "ecosystem_specific"):
            word = str((table.get(key) or {}).get("severity", "")).lower()
            if word in _WORDS:
                return _WORDS[word]
    ratings = []
    for table in tables:
        for entry in table.get("severity") or []:
            rating = _rating(str(entry.get("score", "")))
            if rating is not None:
                ratings.append(rating)
    return max(ratings, default=Severity.UNKNOWN)


def _rating(vector: str) -> Severity | None:
    """Return the rating of a CVSS vector; None if it is not a valid one."""
    kind = CVSS2
    if vector.startswith("CVSS:3"):
        kind = CVSS3
    elif vector.startswith("CVSS:4"):
        kind = CVSS4
    try:
        return _WORDS.get(kind(vector).severities()[0].lower())
    except CVSSError:
        return None
