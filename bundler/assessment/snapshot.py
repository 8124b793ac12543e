"""Snapshots of advisories: the zip file that OSV publishes for PyPI, or a folder of its records in JSON or YAML."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from bundler.assessment.advisory import Advisory, advisories_of
from bundler.errors import BundlerError
from wheelhouse import files
from wheelhouse.errors import FileError
from wheelhouse.members import DAMAGED, read_member

_SUFFIXES = (".json", ".yaml", ".yml")
# Bytes of a record; the largest of PyPI have a few hundred thousand.
_LIMIT = 16 << 20
# Malformed records that are listed.
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Advisories by project, the number of records, and the day of the newest change of one (ISO 8601)."""

    by_project: Mapping[str, Sequence[Advisory]]
    records: int
    day: str
    malformed: Sequence[str] = ()

    def age(self, today: date) -> int:
        """Return the days from the newest change of a record until `today`."""
        return (today - date.fromisoformat(self.day)).days


def read_snapshot(path: Path) -> Snapshot:
    """Return the advisories in the zip file or folder `path`.

    Malformed records are listed, and do not stop others. A record that claims to be of the future does not make the
    snapshot newer. Raises `BundlerError` if there is no valid record, and
    `FileError`.
    """
    by_project: dict[str, list[Advisory]] = {}
    days: list[str] = []
    malformed: list[str] = []
    for name, data in _members(path):
        try:
            record = _parse(name, data)
            day = date.fromisoformat(str(record["modified"])[:10]).isoformat()
            advisories = list(advisories_of(record))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            malformed.append(name)
            continue
        days.append(day)
        for advisory in advisories:
            by_project.setdefault(advisory.project, []).append(advisory)
    if not days:
        raise BundlerError(
            f"{path}: contains no OSV record",
            facts=malformed[:_SHOWN],
            hint="use the zip file that OSV publishes for PyPI, or a folder of OSV records in JSON or YAML",
        )
    today = datetime.now(timezone.utc).date().isoformat()
    past = [day for day in days if day <= today]
    day = max(past, default=min(days))
    return Snapshot(by_project=by_project, records=len(days), day=day, malformed=tuple(malformed))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each record."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            is_hidden = name.startswith(".") or "/." in name
            if file.suffix in _SUFFIXES and file.is_file() and not is_hidden:
                yield name, files.read_plain(file, _LIMIT)
        return
    try:
        with (
            files.explained(path),
            files.open_input(path) as source,
            zipfile.ZipFile(source) as archive,
        ):
            for member in archive.infolist():
                if member.filename.endswith(_SUFFIXES):
                    yield member.filename, read_member(archive, member, _LIMIT)
    except DAMAGED as error:
        raise BundlerError(
            f"{path}: cannot be read ({error})", hint="copy the snapshot again"
        ) from error
    except FileError as error:
        raise BundlerError(str(error), hint="name the zip file or folder of OSV records") from error


def _parse(name: str, data: bytes) -> Mapping[str, Any]:
    if name.endswith(".json"):
        record = json.loads(data)
    else:
        import yaml  # noqa: PLC0415 - an extra, for folders of YAML records only

        try:
            # Every scalar as text, as in JSON: times and versions are that, too.
            record = yaml.load(data, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - creates no objects
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from None
    if not isinstance(record, dict):
        raise TypeError("is not a table")
    return record
