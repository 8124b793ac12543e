"""The history of a store: one file for each publish, remove, yank, repair and alias, which is never changed.

One file each instead of lines in a shared one, since appending is not atomic over NFS.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.errors import FileError, StoreError
from wheelhouse.store.sharing import user_name
from wheelhouse.store.store import Store

# Bytes; an event has a few hundred, and a note at most `LONGEST_NOTE`.
_LIMIT = 1 << 20
LONGEST_NOTE = 1000
_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was done to a store.

    `time` is in UTC by the clock of the file server (ISO 8601), `action` a verb, `subject` the publication, file or
    alias, `sha256` its digest (of the manifest of a publication) if it has one, `detail` what the action adds to that.
    """

    time: str
    action: str
    subject: str
    user: str
    host: str
    sha256: str | None = None
    detail: str = ""
    note: str = ""


def log(
    store: Store,
    action: str,
    subject: str,
    *,
    sha256: str | None = None,
    detail: str = "",
    note: str = "",
) -> None:
    """Add an event to the history of `store`. Raises `FileError`."""
    now = datetime.fromtimestamp(atomic.now(store.scratch), timezone.utc)
    event = Event(
        time=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        action=action,
        subject=subject,
        user=user_name(),
        host=socket.gethostname(),
        sha256=sha256,
        detail=detail,
        note=note[:LONGEST_NOTE],
    )
    path = store.path / "log" / f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.json"
    atomic.claim(path, json.dumps(asdict(event), indent=1).encode() + b"\n", store.scratch)


def events(store: Store) -> tuple[list[Event], list[StoreError]]:
    """Return the events of `store`, the oldest first, and the errors of malformed ones. Raises `FileError`."""
    folder = store.path / "log"
    try:
        with files.explained(folder):
            paths = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return [], []
        raise
    read: list[Event] = []
    errors: list[StoreError] = []
    for path in paths:
        try:
            read.append(_event(path))
        except StoreError as error:
            errors.append(error)
    return read, errors


def is_logged(store: Store, subject: str) -> bool:
    """Return whether there is an event about `subject`. A publisher that was killed at the end has left none."""
    read, _ = events(store)
    return any(event.subject == subject for event in read)


def _event(path: Path) -> Event:
    try:
        values = json.loads(files.read_plain(path, _LIMIT))
        event = Event(**{key: value for key, value in values.items() if key in Event.__slots__})
        texts = [
            event.time,
            event.action,
            event.subject,
            event.user,
            event.host,
            event.detail,
            event.note,
        ]
        if all(
            isinstance(text, str) and text.isprintable() for text in [*texts, event.sha256 or ""]
        ):
            return event
    except (FileError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise StoreError(
        f"{path}: is not an event of a store", hint="find out who changed it, and delete it"
    )
