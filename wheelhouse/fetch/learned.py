"""Learn the SHA-256 of a file for which only digests of other algorithms are known."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.hashes import difference

# Bytes of a wheel; the largest ones have a few thousand million.
_LARGEST = 8 << 30


def learn_sha256(
    filename: str,
    url: str,
    stated: frozenset[str],
    allowed: frozenset[str],
    cache: Path,
    credentials: Credentials,
) -> str:
    """Download the file at `url` to the download cache `cache`; return its SHA-256.

    Raises `ValueError` if it differs from the digests `stated` in the lock or `allowed` by requirements, and
    `DownloadError`.
    """
    from wheelhouse.fetch.http import fetch  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    data = fetch(url, credentials, limit=_LARGEST)
    sha256 = hashlib.sha256(data).hexdigest()
    path = cache / "files" / sha256[:2] / sha256
    atomic.write(path, data)
    with files.explained(path):
        fault = difference(path, stated, allowed)
    if fault:
        raise ValueError(f"{filename} {fault}")
    return sha256
