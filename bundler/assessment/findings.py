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


def document(findings: Sequence[Finding], packages: int, snapshot: Snapshot, today: date) -> dict[str, Any]:
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
    acceptance = finding.acceptance
    return {
        "id": finding.identity,
        "aliases": list(finding.aliases),
        "project": finding.project,
        "version": finding.version,
        "severity": str(finding.severity),
        "summary": finding.summary,
        "published": finding.published,
        "fixed": list(finding.fixed),
        "uses": [{"in": use.place, "since": use.since or None, "scripts": list(use.scripts)} for use in finding.uses],
        "accepted": {"reason": acceptance.reason, "day": acceptance.day} if acceptance else None,
    }


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a paragraph for each of `findings`."""
    for finding in findings:
        cells = [f"{finding.project} {finding.version}", str(finding.severity), finding.identity]
        cells.append(f"fixed in {' or '.join(finding.fixed)}" if finding.fixed else "not fixed")
        yield "  ".join(cells)
        yield from textwrap.wrap(finding.summary, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        if finding.acceptance:
            yield f"  accepted on {finding.acceptance.day}: {finding.acceptance.reason}"
        yield from (f"  {_use(use)}" for use in finding.uses[:_SHOWN])
        if len(finding.uses) > _SHOWN:
            yield f"  and {len(finding.uses) - _SHOWN} more (--json lists all)"


def _use(use: Use) -> str:
    scripts = f" by {', '.join(use.scripts)}" if use.scripts else ""
    since = f" since {use.since[:10]}" if use.since else ""
    return f"used in {use.place}{scripts}{since}"


def summary(findings: Sequence[Finding], packages: int, snapshot: Snapshot, today: date) -> str:
    """Return one sentence about the result of an audit, with the age of the snapshot."""
    still_open = [finding for finding in findings if finding.acceptance is None]
    accepted = len(findings) - len(still_open)
    more = f" (and {accepted} accepted)" if accepted else ""
    age = f"advisories as of {snapshot.day} ({counted(snapshot.age(today), 'day')} ago)"
    amount = "1 vulnerability" if len(still_open) == 1 else f"{len(still_open)} vulnerabilities"
    return f"Found {amount}{more} in {counted(packages, 'package')}; {age}"


def severe(findings: Sequence[Finding], threshold: Severity) -> list[Finding]:
    """Return the findings that nobody accepted and that are at least as severe; an unknown rating always is."""
    return [finding for finding in findings if finding.acceptance is None and finding.severity >= threshold]
