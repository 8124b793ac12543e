"""Leases: which HPS projects were submitted from a publication, so that it is not removed while they need it.

Nodes mount a store read-only, so they cannot leave anything there; `submit-jobs` can, if its user may write there.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.errors import FileError, WheelhouseError
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store, open_store

# Days after the submission during which jobs may still run, or be run again.
VALID_DAYS = 30
_LIMIT = 1 << 16
_NAME = re.compile(r"[0-9a-f]{16}\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The HPS project `project` was submitted at `time`, in seconds since 1970 by the clock of the file server."""

    project: str
    time: float


def leave(publication: Path, project: str) -> bool:
    """Leave a lease for `project` in the store of the folder `publication`; return whether that was possible."""
    place = publication.absolute()
    try:
        store = open_store(place.parent.parent)
        with sharing(store.path):
            path = store.path / "leases" / place.name / f"{secrets.token_hex(8)}.json"
            return atomic.claim(
                path, json.dumps({"project": project}).encode() + b"\n", store.scratch
            )
    except WheelhouseError:  # A read-only store, or a copy of a publication elsewhere.
        return False


def leases(store: Store, publication: str) -> list[Lease]:
    """Return the leases of the publication named `publication`, the newest last."""
    return sorted(_leases(store.path / "leases" / publication), key=lambda lease: lease.time)


def _leases(folder: Path) -> Iterator[Lease]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name):
                project = "unknown"  # Of a damaged lease, the time still counts.
                with contextlib.suppress(
                    FileError, ValueError, TypeError, KeyError, RecursionError
                ):
                    text = str(json.loads(files.read_plain(path, _LIMIT))["project"])
                    project = text if text.isprintable() else project
                with contextlib.suppress(OSError):
                    yield Lease(project=project, time=path.lstat().st_mtime)
