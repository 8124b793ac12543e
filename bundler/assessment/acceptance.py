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
            f"{path}: is not an OpenVEX document",
            hint="it needs a list `statements`; see `bundler guide approval`",
        ) from None
    stated: list[Acceptance] = []
    errors: list[Exception] = []
    for number, statement in enumerate(statements, 1):
        try:
            stated += _acceptances(statement, str(document.get("timestamp", "")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fact = str(error)
            if isinstance(error, KeyError):
                fact = f"lacks {error}"
            hint = "see `bundler guide approval` for an example"
            errors.append(BundlerError(f"{path}: statement {number} {fact}", hint=hint))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise CombinedError(errors)
    stated.reverse()  # Of one day, the last one counts.
    return sorted(stated, key=lambda entry: entry.day, reverse=True)


def acceptance_of(
    stated: Sequence[Acceptance], names: Sequence[Sequence[str]], project: str, version: str
) -> Acceptance | None:
    """Return why a vulnerability does not matter in this version; None if it does, or nobody has accepted it.

    `names` are the names of each vulnerability in a finding, and all of them must be accepted. `stated` has the newest
    statement first, which is the one that counts.
    """
    about = [
        entry for entry in stated if entry.project == project and entry.version in (None, version)
    ]
    accepted: Acceptance | None = None
    for aliases in names:
        newest = next((entry for entry in about if entry.vulnerability in aliases), None)
        if newest is None or newest.reason is None:
            return None
        accepted = accepted or newest
    return accepted


def _acceptances(statement: Mapping[str, Any], document_time: str) -> Iterator[Acceptance]:
    status = statement["status"]
    if status not in _STATUSES:
        raise ValueError(f"has the unknown status {status!r}")
    vulnerability = statement["vulnerability"]
    if isinstance(vulnerability, dict):
        vulnerability = vulnerability["name"]
    day = str(statement.get("timestamp") or document_time)[:10]
    reason = None
    is_accepted = status in _ACCEPTING
    if is_accepted:
        reason = statement.get("impact_statement") or statement.get("justification")
    lacks_reason = is_accepted and not isinstance(reason, str)
    if lacks_reason or not _is_day(day) or not isinstance(vulnerability, str):
        raise ValueError(
            "needs a vulnerability, a reason (impact_statement or justification) and a timestamp"
        )
    if is_accepted:
        reason = "".join(filter(str.isprintable, str(reason)))
    for product in statement["products"]:
        project, version = _package(product)
        yield Acceptance(
            vulnerability=vulnerability, project=project, version=version, reason=reason, day=day
        )


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _package(product: Any) -> tuple[str, str | None]:
    """Return the project and the version of a product, None for all versions."""
    if not isinstance(product, dict):
        product = {"@id": product}
    identity = product["@id"]
    match = _PURL.fullmatch(str(identity))
    if match is None:
        raise ValueError(f"has the product {identity!r}, which is not like pkg:pypi/NAME@VERSION")
    if product.get("subcomponents"):
        raise ValueError("is limited to subcomponents, which an audit does not know")
    project = canonicalize_name(unquote(match["name"]))
    if match["version"]:
        return project, unquote(match["version"])
    return project, None
