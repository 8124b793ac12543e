"""Findings that somebody has assessed and accepted: OpenVEX documents (0.2.0), with a reason and a day for each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from bundler.errors import BundlerError, CombinedError
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_STATUSES = ("not_affected", "fixed")
_OTHERS = ("affected", "under_investigation")
_PURL = re.compile(r"pkg:pypi/(?P<name>[^@?#]+)(@(?P<version>[^?#]+))?([?#].*)?")
_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A vulnerability that does not matter in `project` (in all versions if `version` is None), why, and since when."""

    vulnerability: str
    project: str
    version: str | None
    reason: str
    day: str


def read_acceptances(path: Path) -> list[Acceptance]:
    """Return the accepted findings in the OpenVEX document `path`. Raises `CombinedError` with everything invalid."""
    data = files.read_plain(path, _LIMIT)
    try:
        document = json.loads(data)
        statements = [dict(entry.items()) for entry in document["statements"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BundlerError(
            f"{path}: is not an OpenVEX document", hint="it needs a list `statements`; see `bundler guide approval`"
        ) from None
    accepted: list[Acceptance] = []
    errors: list[Exception] = []
    for number, statement in enumerate(statements, 1):
        try:
            accepted += _acceptances(statement, str(document.get("timestamp", "")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fact = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            hint = "see `bundler guide approval` for an example"
            errors.append(BundlerError(f"{path}: statement {number} {fact}", hint=hint))
    if errors:
        raise errors[0] if len(errors) == 1 else CombinedError(errors)
    return accepted


def acceptance_of(
    accepted: Sequence[Acceptance], vulnerabilities: Collection[str], project: str, version: str
) -> Acceptance | None:
    """Return the first of `accepted` about one of `vulnerabilities` (aliases of each other) in this version."""
    for entry in accepted:
        if entry.vulnerability in vulnerabilities and entry.project == project and entry.version in (None, version):
            return entry
    return None


def _acceptances(statement: Mapping[str, Any], day: str) -> Iterator[Acceptance]:
    status = statement["status"]
    if status in _OTHERS:
        return
    if status not in _STATUSES:
        raise ValueError(f"has the unknown status {status!r}")
    vulnerability = statement["vulnerability"]
    name = vulnerability["name"] if isinstance(vulnerability, dict) else vulnerability
    reason = statement.get("impact_statement") or statement.get("justification")
    time = str(statement.get("timestamp") or day)[:10]
    if not isinstance(name, str) or not isinstance(reason, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", time):
        raise ValueError("needs a vulnerability, a reason (impact_statement or justification) and a timestamp")
    products = [product["@id"] if isinstance(product, dict) else product for product in statement["products"]]
    for product in products:
        match = _PURL.fullmatch(str(product))
        if match is None:
            raise ValueError(f"has the product {product!r}, which is not like pkg:pypi/NAME@VERSION")
        yield Acceptance(
            vulnerability=name,
            project=canonicalize_name(unquote(match["name"])),
            version=unquote(match["version"]) if match["version"] else None,
            reason=reason,
            day=time,
        )
