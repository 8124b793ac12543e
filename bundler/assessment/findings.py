"""Findings of an audit: as a document for programs, and as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from bundler.assessment.audit import Finding, Use
from bundler.assessment.severity import Severity
from bundler.assessment.snapshot import Snapshot
from bundler.units import counted

# The width of a terminal.
_WIDTH = 80
# Uses that are shown as text.
_SHOWN = 5


def document(
    findings: Sequence[Finding], packages: int, snapshot: Snapshot, today: date
) -> dict[str, Any]:
    """Return the result of an audit, of `packages` in number, as `bundler audit --json` prints it."""
    return {
        "advisories": {
            "records": snapshot.records,
            "malformed": list(snapshot.malformed),
            "newest": snapshot.day,
            "age-days": snapshot.age(today),
        },
        "packages": packages,
        "findings": [_row(finding) for finding in findings],
    }


def _row(finding: Finding) -> dict[str, Any]:
    accepted = None
    if finding.acceptance:
        accepted = {"reason": finding.acceptance.reason, "day": finding.acceptance.day}
    return {
        "id": finding.identity,
        "aliases": list(finding.aliases),
        "project": finding.project,
        "version": finding.version,
        "severity": str(finding.severity),
        "summary": finding.summary,
        "published": finding.published,
        "fixed": list(finding.fixed),
        "uses": [
            {"in": use.place, "since": use.since or None, "scripts": list(use.scripts)}
            for use in finding.uses
        ],
        "accepted": accepted,
    }


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a paragraph for each of `findings`."""
    for finding in findings:
        fixed = "not fixed"
        if finding.fixed:
            fixed = f"fixed in {' or '.join(finding.fixed)}"
        yield f"{finding.project} {finding.version}  {finding.severity!s}  {finding.identity}  {fixed}"
        yield from textwrap.wrap(
            finding.summary, _WIDTH, initial_indent="  ", subsequent_indent="  "
        )
        if finding.acceptance:
            yield f"  accepted on {finding.acceptance.day}: {finding.acceptance.reason}"
        for use in finding.uses[:_SHOWN]:
            yield f"  {_use(use)}"
        more = len(finding.uses) - _SHOWN
        if more > 0:
            yield f"  and {more} more (--json lists all)"


def _use(use: Use) -> str:
    text = f"used in {use.place}"
    if use.scripts:
        text += f" by {', '.join(use.scripts)}"
    if use.since:
        text += f" since {use.since[:10]}"
    return text


def summary(findings: Sequence[Finding], packages: int, snapshot: Snapshot, today: date) -> str:
    """Return one sentence about the result of an audit, with the age of the snapshot."""
    still_open = [finding for finding in findings if finding.acceptance is None]
    amount = f"{len(still_open)} vulnerabilities"
    if len(still_open) == 1:
        amount = "1 vulnerability"
    accepted = len(findings) - len(still_open)
    if accepted:
        amount += f" (and {accepted} accepted)"
    age = f"advisories as of {snapshot.day} ({counted(snapshot.age(today), 'day')} ago)"
    return f"Found {amount} in {counted(packages, 'package')}; {age}"


def severe(findings: Sequence[Finding], threshold: Severity) -> list[Finding]:
    """Return the findings that nobody accepted and that are at least as severe; an unknown rating always is."""
    return [
        finding
        for finding in findings
        if finding.acceptance is None and finding.severity >= threshold
    ]
