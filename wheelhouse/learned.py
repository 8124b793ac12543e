"""Learn the SHA-256 of a file for which only digests of other algorithms are known."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wheelhouse import atomic, files
from wheelhouse.hashes import digests_of

if TYPE_CHECKING:
    from pathlib import Path

    from wheelhouse.credentials import Credentials

# Bytes of a wheel; the largest ones have a few thousand million.
_LARGEST = 8 << 30


def learn_sha256(
    filename: str, url: str, stated: frozenset[str], allowed: frozenset[str], cache: Path, credentials: Credentials
) -> str:
    """Download the file at `url` to the download cache `cache`; return its SHA-256.

    It must have all digests that are `stated` in the lock, and one of those that are `allowed`, if there are any.
    Raises `ValueError` otherwise, and `DownloadError`.
    """
    from wheelhouse.http import fetch  # Takes a tenth of a second to import, and is rarely needed.

    data = fetch(url, credentials, limit=_LARGEST)
    sha256 = hashlib.sha256(data).hexdigest()
    path = cache / "files" / sha256[:2] / sha256
    atomic.write(path, data)
    with files.explained(path):
        found = digests_of(path, stated | allowed)
    wrong = sorted(stated - found)
    if wrong:
        raise ValueError(f"{filename} does not have the digest {wrong[0]} of the lock")
    if allowed and not allowed & found:
        raise ValueError(f"{filename} has none of the hashes that the requirements allow")
    return sha256
