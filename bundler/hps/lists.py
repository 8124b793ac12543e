"""Read lists of the server as a whole, although it may cut them off without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bundler.hps.errors import HpsError
from bundler.jobs.table import Record

# Shorter lists are whole: this is the lowest limit by default of a service of HPS.
_SHORT = 10


def read_all(read: Callable[..., Any], **query: Any) -> list[Record]:
    """Return the records that `read`, a method of the client, finds for `query`, in pages if the server cuts lists off.

    `fields` of `query` include "id". Raises `HpsError` if the server counts more than it lists, and the errors of the
    client.
    """
    records: list[Record] = read(as_objects=False, **query)
    if len(records) < _SHORT:
        return records
    number = _count(read, query)
    if number <= len(records):
        return records
    size = len(records)
    found: dict[str, Record] = {}
    while len(found) < number:
        page = read(as_objects=False, **{"sort": "id", **query}, limit=size, offset=len(found))
        known = len(found)
        found.update({str(record["id"]): record for record in page})
        if len(found) == known:
            # Some may have been deleted in the meantime.
            number = _count(read, query)
            if known < number:
                raise _cut_off(known, number)
    return list(found.values())


def _count(read: Callable[..., Any], query: dict[str, Any]) -> int:
    """Return the number of records for `query`."""
    conditions = {name: value for name, value in query.items() if name not in ("fields", "sort")}
    return int(read(count=True, **conditions))


def _cut_off(known: int, number: int) -> HpsError:
    return HpsError(
        "HPS",
        f"lists only {known} of {number} records",
        "try again, or ask the administrator of HPS to raise the limit of lists",
    )
