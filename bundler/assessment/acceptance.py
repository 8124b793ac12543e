"""Findings that somebody has assessed and accepted: OpenVEX documents (0.2.0), with a reason and a day for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from bundler.errors import BundlerError, CombinedError
from wheelhouse import files

_ACCEPTING = ("not_affected", "fixed")
_STATUSES = (*_ACCEPTING, "affected", "under_investigation")
_PURL = re.compile(r"pkg:pypi/(?P<name>[^@?#]+)(@(?P<version>[^?#]+))?([?#].*)?")
_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What somebody stated about a vulnerability in `project` (in all versions if `version` is None), and when.

    `reason` says why it does not matter; None if it does, or may.
    """

    vulnerability: str
    project: str
    version: str | None
    reason: str | None
    day: str


def read_acceptances(path: Path) -> list[Acceptance]:
    """Return the statements in the OpenVEX document `path`, the newest first.

    Raises `CombinedError` with everything invalid.
    """
    data = files.read_plain(path, _LIMIT)
    try:
        document = json.loads(data)
        statements = [dict(entry.items()) for entry in document["statements"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BundlerError(
            f"{path}: is not an OpenVEX document", hint="it needs a list `statements`; see `bundler guide approval`"
        ) from None
    stated: list[Acceptance] = []
    errors: list[Exception] = []
    for number, statement in enumerate(statements, 1):
        try:
            stated += _acceptances(statement, str(document.get("timestamp", "")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fact = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            hint = "see `bundler guide approval` for an example"
            errors.append(BundlerError(f"{path}: statement {number} {fact}", hint=hint))
    if errors:
        raise errors[0] if len(errors) == 1 else CombinedError(errors)
    stated.reverse()  # Of one day, the last one counts.
    return sorted(stated, key=lambda entry: entry.day, reverse=True)


def acceptance_of(
    stated: Sequence[Acceptance], names: Sequence[Sequence[str]], project: str, version: str
) -> Acceptance | None:
    """Return why a vulnerability does not matter in this version; None if it does, or nobody has accepted it.

    `names` are the names of each vulnerability in a finding, and all of them must be accepted. `stated` has the newest
    statement first, which is the one that counts.
    """
    accepted: Acceptance | None = None
    for aliases in names:
        newest = next(
            (
                entry
                for entry in stated
                if entry.vulnerability in aliases and entry.project == project and entry.version in (None, version)
            ),
            None,
        )
        if newest is None or newest.reason is None:
            return None
        accepted = accepted or newest
    return accepted


def _acceptances(statement: Mapping[str, Any], day: str) -> Iterator[Acceptance]:
    status = statement["status"]
    if status not in _STATUSES:
        raise ValueError(f"has the unknown status {status!r}")
    vulnerability = statement["vulnerability"]
    name = vulnerability["name"] if isinstance(vulnerability, dict) else vulnerability
    reason = statement.get("impact_statement") or statement.get("justification")
    time = str(statement.get("timestamp") or day)[:10]
    try:
        date.fromisoformat(time)
    except ValueError:
        time = ""
    if not isinstance(name, str) or not time or (status in _ACCEPTING and not isinstance(reason, str)):
        raise ValueError("needs a vulnerability, a reason (impact_statement or justification) and a timestamp")
    for product in statement["products"]:
        about = product if isinstance(product, dict) else {"@id": product}
        match = _PURL.fullmatch(str(about["@id"]))
        if match is None:
            raise ValueError(f"has the product {about['@id']!r}, which is not like pkg:pypi/NAME@VERSION")
        if about.get("subcomponents"):
            raise ValueError("is limited to subcomponents, which an audit does not know")
        yield Acceptance(
            vulnerability=name,
            project=canonicalize_name(unquote(match["name"])),
            version=unquote(match["version"]) if match["version"] else None,
            reason="".join(filter(str.isprintable, str(reason))) if status in _ACCEPTING else None,
            day=time,
        )
