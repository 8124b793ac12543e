"""Advisories about vulnerable versions of packages, as OSV records describe them (schema 1.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from bundler.assessment.severity import Severity, severity_of

# An OSV record, or a part of it.
_Record = Mapping[str, Any]
_PURL = re.compile(r"pkg:pypi/([^@?#]+)", re.IGNORECASE)
_KINDS = ("introduced", "fixed", "last_affected", "limit")
# Characters of a summary that a table shows.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Event:
    """Where versions become vulnerable ("introduced"; None is the first version) or stop being so.

    "fixed" is the first version that is not vulnerable, "last_affected" the last one that is. Only versions before any
    "limit" can be vulnerable, where None is the end.
    """

    kind: str
    version: Version | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """The affected `versions` and `ranges` of one project, according to one record."""

    identity: str
    aliases: frozenset[str]
    project: str
    summary: str
    severity: Severity
    published: str
    versions: frozenset[Version]
    ranges: tuple[tuple[_Event, ...], ...]

    def affects(self, version: Version) -> bool:
        """Return whether `version` is vulnerable; its local part only matters if it is listed with it."""
        public = version
        if version.local is not None:
            public = _parse(version.public)
        if version in self.versions or public in self.versions:
            return True
        return any(_in_range(public, events) for events in self.ranges)

    def fixes(self, version: Version) -> list[Version]:
        """Return the versions after `version` that are not vulnerable any more, one for each range that has it."""
        ranges = [events for events in self.ranges if _in_range(version, events)]
        fixes = {_next_fix(version, events) for events in ranges or self.ranges}
        return sorted(fix for fix in fixes if fix is not None)


# Records repeat versions.
_parse = lru_cache(maxsize=1 << 16)(Version)


def advisories_of(record: _Record) -> Iterator[Advisory]:
    """Yield what an OSV record says about projects on PyPI; nothing if it was withdrawn.

    Listed versions that do not follow PEP 440 are left out, since nothing that is installed has them. Raises
    `ValueError`, `KeyError`, `TypeError` or `AttributeError` for a malformed record.
    """
    if _is_withdrawn(record.get("withdrawn")):
        return
    identity = _text(record["id"])
    projects: dict[str, list[_Record]] = {}
    for entry in _list(record.get("affected")):
        name = _project(entry.get("package") or {})
        if name:
            projects.setdefault(name, []).append(entry)
    for project, entries in projects.items():
        versions: set[Version] = set()
        ranges: list[tuple[_Event, ...]] = []
        for entry in entries:
            versions.update(_versions(entry))
            ranges += _ranges(entry)
        yield Advisory(
            identity=identity,
            aliases=frozenset(map(_text, _list(record.get("aliases")))),
            project=project,
            summary=_line(record.get("summary") or record.get("details") or ""),
            severity=severity_of(record, entries),
            published=_text(record.get("published") or "")[:10],
            versions=frozenset(versions),
            ranges=tuple(ranges),
        )


def _is_withdrawn(value: Any) -> bool:
    """Return whether a record was withdrawn, at a time in the past. YAML may say that it was not."""
    if value is None or value in ("", "~", "null", "Null", "NULL"):
        return False
    return date.fromisoformat(_text(value)[:10]) <= datetime.now(timezone.utc).date()


def _project(package: _Record) -> NormalizedName | None:
    """Return the project on PyPI that a record is about, by its name or else its package URL."""
    ecosystem = _text(package.get("ecosystem") or "")
    if ecosystem.partition(":")[0].lower() == "pypi":
        return canonicalize_name(_text(package["name"]))
    if ecosystem:
        return None
    match = _PURL.match(_text(package.get("purl") or ""))
    if match is None:
        return None
    return canonicalize_name(unquote(match[1]))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _versions(entry: _Record) -> Iterator[Version]:
    for text in _list(entry.get("versions")):
        version = _version(text)
        if version is not None:
            yield version


def _version(text: Any) -> Version | None:
    try:
        return _parse(_text(text))
    except InvalidVersion:
        return None


def _ranges(entry: _Record) -> Iterator[tuple[_Event, ...]]:
    """Yield the events of each range, in the order of versions."""
    for stated in _list(entry.get("ranges")):
        if stated.get("type") == "GIT":
            continue
        events = []
        for table in _list(stated.get("events")):
            for kind, text in table.items():
                event = _event(kind, text)
                if event is not None:
                    events.append(event)
        if events:
            yield tuple(sorted(events, key=_order))


def _event(kind: str, text: Any) -> _Event | None:
    if kind not in _KINDS:
        return None
    if (kind, text) in (("introduced", "0"), ("limit", "*")):
        return _Event(kind, None)
    version = _version(text)
    # With an introduction that cannot be compared, all versions before the end count.
    if version is None and kind != "introduced":
        return None
    return _Event(kind, version)


def _order(event: _Event) -> tuple[bool, Version]:
    return event.version is not None, event.version or Version("0")


def _in_range(version: Version, events: tuple[_Event, ...]) -> bool:
    if not _is_below_limit(version, events):
        return False
    is_vulnerable = False
    for event in events:
        is_later = event.version is not None and event.version > version
        is_last = event.kind == "last_affected" and event.version == version
        if event.kind != "limit" and not is_later and not is_last:
            is_vulnerable = event.kind == "introduced"
    return is_vulnerable


def _is_below_limit(version: Version, events: tuple[_Event, ...]) -> bool:
    limits = [event.version for event in events if event.kind == "limit"]
    for limit in limits:
        if limit is None or version < limit:
            return True
    return not limits


def _next_fix(version: Version, events: tuple[_Event, ...]) -> Version | None:
    for event in events:
        if event.kind == "fixed" and event.version is not None and event.version > version:
            return event.version
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise TypeError(f"{value!r} is not printable text")
    return value


def _line(text: Any) -> str:
    """Return the first line of `text` without control characters, cut down to what a table shows."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not text")
    lines = text.strip().splitlines()
    if not lines:
        return ""
    plain = "".join(filter(str.isprintable, lines[0].strip()))
    if len(plain) <= _SHOWN:
        return plain
    return f"{plain[:_SHOWN]}..."
