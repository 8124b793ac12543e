"""What a signature says: the digests of the files that it covers, and when it was made.

A statement is text that `sha256sum --check` reads. One signature therefore covers the whole bundle: the manifest lists
every file with its digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Bytes; a statement has three lines or four.
LIMIT = 4096
_TEXT = re.compile(
    r"# signed: (?P<signed>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n"
    r"(?P<lines>([0-9a-f]{64}  [A-Za-z0-9][A-Za-z0-9.]{0,99}\n){1,9})"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """The SHA-256 of each covered file, in hex, and the time by the clock of the signer (UTC, ISO 8601)."""

    signed: str
    digests: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Return the bytes that are signed."""
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self.digests.items()))
        return f"# signed: {self.signed}\n{lines}".encode()


def parse(data: bytes) -> Statement:
    """Return the statement in `data`. Raises `ValueError` unless these are the bytes that `to_bytes` returns."""
    match = None
    if len(data) <= LIMIT:
        match = _TEXT.fullmatch(data.decode("ascii"))
    if match is None:
        raise ValueError("is not a statement")
    digests = {}
    for line in match["lines"].splitlines():
        sha256, name = line.split("  ")
        digests[name] = sha256
    statement = Statement(match["signed"], digests)
    if statement.to_bytes() != data:
        raise ValueError("lists a file twice, or in the wrong order")
    return statement
