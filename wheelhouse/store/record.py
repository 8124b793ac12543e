"""Records of a store: what the index says about each file, and which files are yanked (PEP 592)."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from wheelhouse import files
from wheelhouse.errors import FileError, StoreError

# Bytes; a record has a few hundred.
_LIMIT = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
# PEP 700, in UTC.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# A normalized project name (PEP 503).
PROJECT = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
RECORD = ".json"
YANKED = ".yanked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A wheel in the store: `size` in bytes, digests are SHA-256 in hex.

    `uploaded` is the time of the file server (PEP 700), `origin` the bundle or folder that the wheel came from. Stores
    of format 1 have neither of the last three. `yanked` is the reason if the file is yanked; it is not in the record.
    """

    project: str
    filename: str
    sha256: str
    requires_python: str | None
    metadata_sha256: str
    size: int | None = None
    uploaded: str | None = None
    origin: str | None = None
    yanked: str | None = None

    def to_json(self) -> bytes:
        """Return the bytes of the record."""
        values = {key: getattr(self, key) for key in _KEYS}
        return json.dumps(values, indent=1).encode() + b"\n"

    def describes(self, other: Record) -> bool:
        """Return whether `other` describes the same file, wherever and whenever it was uploaded from."""
        return other == replace(
            self,
            uploaded=other.uploaded,
            origin=other.origin,
            yanked=other.yanked,
        )


_KEYS = [name for name in Record.__slots__ if name != "yanked"]


def read_record(path: Path) -> Record | None:
    """Return the record at `path`, or None if there is none. Raises `StoreError` if it is not a valid one."""
    try:
        values = json.loads(files.read_plain(path, _LIMIT))
        record = Record(**{key: value for key, value in values.items() if key in _KEYS})
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return None
        raise damaged(path, error.error.strerror or str(error.error)) from error
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise damaged(path, "is not a valid record") from None
    is_in_place = f"{record.filename}{RECORD}" == path.name and record.project == path.parent.name
    if not is_in_place or not _is_sound(record):
        raise damaged(path, "is not a valid record")
    return record


def damaged(path: Path, fact: str) -> StoreError:
    """Return the error for the record at `path`, whose file is missing on the pages."""
    return StoreError(
        f"{path}: {fact}",
        hint="publish a bundle with this wheel again, or delete the record",
    )


def yank_json(reason: str) -> bytes:
    """Return the bytes of the file that says that another one is yanked for `reason`."""
    return json.dumps({"reason": reason}).encode() + b"\n"


def yank_reason(path: Path) -> str:
    """Return the reason in the file `path`, whose presence says that a file is yanked."""
    reason = ""  # A yanked file stays yanked, whatever happened to the reason.
    with contextlib.suppress(FileError, ValueError, TypeError, KeyError, RecursionError):
        reason = json.loads(files.read_plain(path, _LIMIT))["reason"]
    return reason if _is_line(reason) else ""


def _is_sound(record: Record) -> bool:
    """Return whether the values of `record`, which may have been edited by hand, are valid."""
    for digest in (record.sha256, record.metadata_sha256):
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            return False
    for text in (record.requires_python, record.origin, record.uploaded):
        if text is not None and not _is_line(text):
            return False
    if record.uploaded is not None and not _TIME.fullmatch(record.uploaded):
        return False
    if record.size is None:
        return True
    return isinstance(record.size, int) and record.size >= 0


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()
