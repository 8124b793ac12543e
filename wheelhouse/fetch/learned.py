"""Learn the SHA-256 of a file for which only digests of other algorithms are known."""

from __future__ import annotations

from pathlib import Path

from wheelhouse import atomic, files
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.hashes import difference


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
    from wheelhouse.fetch.http import save  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    partial = atomic.beside(cache / "partial" / filename)
    with files.explained(partial):
        files.make_folder(partial.parent)
    try:
        sha256 = save(url, partial, credentials)
        with files.explained(partial):
            fault = difference(partial, stated, allowed)
            if fault:
                raise ValueError(f"{filename} {fault}")
            atomic.placed(partial, cache / "files" / sha256[:2] / sha256)
    finally:
        partial.unlink(missing_ok=True)
    return sha256
