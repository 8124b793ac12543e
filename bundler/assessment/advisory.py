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

_PURL = re.compile(r"pkg:pypi/([^@?#]+)", re.IGNORECASE)
# Characters of a summary that a table shows.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Event:
    """Where versions become vulnerable ("introduced"; None is the first version) or stop being so.

    "fixed" is the first version that is not vulnerable, "last_affected" the last one that is. Only versions before any
    "limit" can be vulnerable, where None is the end.
    """

    kind: str
    version: Version | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What one record says about one project: vulnerable are `versions`, and those in any of `ranges`."""

    identity: str
    aliases: frozenset[str]
    project: str
    summary: str
    severity: Severity
    published: str
    versions: frozenset[Version]
    ranges: tuple[tuple[Event, ...], ...]

    def affects(self, version: Version) -> bool:
        """Return whether `version` is vulnerable; its local part only matters if it is listed with it."""
        public = version if version.local is None else parse_version(version.public)
        is_listed = version in self.versions or public in self.versions
        return is_listed or any(_in_range(public, events) for events in self.ranges)

    def fixes(self, version: Version) -> list[Version]:
        """Return the versions after `version` that are not vulnerable any more, one for each range that has it."""
        ranges = [events for events in self.ranges if _in_range(version, events)] or self.ranges
        later = [
            [event.version for event in events if event.kind == "fixed" and event.version and event.version > version]
            for events in ranges
        ]
        return sorted({min(versions) for versions in later if versions})


@lru_cache(maxsize=1 << 16)
def parse_version(text: str) -> Version:
    """Return the version `text`. Raises `InvalidVersion`."""
    return Version(text)


def advisories_of(record: Mapping[str, Any]) -> Iterator[Advisory]:
    """Yield what an OSV record says about projects on PyPI; nothing if it was withdrawn.

    Listed versions that do not follow PEP 440 are left out, since nothing that is installed has them. Raises
    `ValueError`, `KeyError`, `TypeError` or `AttributeError` for a malformed record.
    """
    if _is_withdrawn(record.get("withdrawn")):
        return
    identity = _text(record["id"])
    projects: dict[str, list[Mapping[str, Any]]] = {}
    for affected in _list(record.get("affected")):
        if name := _project(affected.get("package") or {}):
            projects.setdefault(name, []).append(affected)
    for project, entries in projects.items():
        yield Advisory(
            identity=identity,
            aliases=frozenset(map(_text, _list(record.get("aliases")))),
            project=project,
            summary=_line(record.get("summary") or record.get("details") or ""),
            severity=severity_of(record, entries),
            published=_text(record.get("published") or "")[:10],
            versions=frozenset(version for entry in entries for version in _versions(_list(entry.get("versions")))),
            ranges=tuple(
                events
                for entry in entries
                for stated in _list(entry.get("ranges"))
                if stated.get("type") != "GIT" and (events := _events(_list(stated.get("events"))))
            ),
        )


def _is_withdrawn(value: Any) -> bool:
    """Return whether a record was withdrawn, at a time in the past. YAML may say that it was not."""
    if value is None or value in ("", "~", "null", "Null", "NULL"):
        return False
    return date.fromisoformat(_text(value)[:10]) <= datetime.now(timezone.utc).date()


def _project(package: Mapping[str, Any]) -> NormalizedName | None:
    """Return the project on PyPI that a record is about, by its name or else its package URL."""
    ecosystem, purl = package.get("ecosystem") or "", package.get("purl") or ""
    if _text(ecosystem).partition(":")[0].lower() == "pypi":
        return canonicalize_name(_text(package["name"]))
    match = None if ecosystem else _PURL.match(_text(purl))
    return canonicalize_name(unquote(match[1])) if match else None


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _versions(texts: list[str]) -> Iterator[Version]:
    for text in texts:
        try:
            yield parse_version(_text(text))
        except InvalidVersion:
            continue


def _events(stated: list[Mapping[str, str]]) -> tuple[Event, ...]:
    """Return the events of a range in the order of versions."""
    events = []
    for entry in stated:
        for kind, text in entry.items():
            if kind == "introduced":
                # With a version that cannot be compared, all versions before the end count.
                events.append(Event(kind, next(_versions([text]), None) if text != "0" else None))
            elif kind == "limit" and text == "*":
                events.append(Event(kind, None))
            elif kind in ("fixed", "last_affected", "limit"):
                events += [Event(kind, version) for version in _versions([text])]
    return tuple(sorted(events, key=lambda event: (event.version is not None, event.version or Version("0"))))


def _in_range(version: Version, events: tuple[Event, ...]) -> bool:
    limits = [event.version for event in events if event.kind == "limit"]
    if limits and not any(limit is None or version < limit for limit in limits):
        return False
    vulnerable = False
    for event in events:
        if event.kind == "limit":
            continue
        if event.version is None or (event.kind == "introduced" and version >= event.version):
            vulnerable = True
        elif (event.kind == "fixed" and version >= event.version) or (
            event.kind == "last_affected" and version > event.version
        ):
            vulnerable = False
    return vulnerable


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise TypeError(f"{value!r} is not printable text")
    return value


def _line(text: Any) -> str:
    """Return the first line of `text` without control characters, cut down to what a table shows."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not text")
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    plain = "".join(character for character in line if character.isprintable())
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}..."
