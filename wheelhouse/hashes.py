"""Digests of any algorithm that requirements and lock files state for a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

# The algorithms that pip and uv accept, and the number of hexadecimal digits of their digests.
_DIGITS = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "blake2b": 128,
}
_CHUNK = 1 << 20


def normalized(text: str) -> str:
    """Return the digest `text`, such as "sha512:ab...", in lower case. Raises `ValueError` if it cannot be compared."""
    algorithm, _, digest = text.strip().lower().partition(":")
    start = text.strip()[:40]
    if algorithm not in _DIGITS:
        raise ValueError(f"the hash {start!r} has an unknown algorithm")
    if not re.fullmatch(r"[0-9a-f]+", digest) or len(digest) != _DIGITS[algorithm]:
        raise ValueError(f"the hash {start!r} is not a digest of {algorithm}")
    return f"{algorithm}:{digest}"


def all_normalized(hashes: Mapping[str, str]) -> frozenset[str]:
    """Return the digests in a table by algorithm (PEP 751). Raises `ValueError` if one cannot be compared."""
    return frozenset(normalized(f"{algorithm}:{digest}") for algorithm, digest in hashes.items())


def sha256_in(digests: Iterable[str]) -> set[str]:
    """Return those of `digests` that are SHA-256, without the name of the algorithm."""
    return {digest.removeprefix("sha256:") for digest in digests if digest.startswith("sha256:")}


def difference(path: Path, stated: frozenset[str], allowed: frozenset[str]) -> str:
    """Return how the file `path` differs from its lock and requirements, or nothing. Raises `OSError`.

    It must have all digests that are `stated` in the lock, and one of those `allowed`, if there are any.
    """
    found = _digests(path, stated | allowed)
    for digest in sorted(stated):
        own = found[digest.partition(":")[0]]
        if own != digest:
            return f"has the digest {own}, but the lock says {digest}"
    if allowed and allowed.isdisjoint(found.values()):
        return "has none of the hashes that the requirements allow"
    return ""


def _digests(path: Path, wanted: Collection[str]) -> dict[str, str]:
    """Return the digests of the file `path`, by algorithm, with those of the digests in `wanted`. Raises `OSError`."""
    hashers = {}
    for digest in wanted:
        algorithm = digest.partition(":")[0]
        hashers[algorithm] = hashlib.new(algorithm)
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            for hasher in hashers.values():
                hasher.update(chunk)
    return {name: f"{name}:{hasher.hexdigest()}" for name, hasher in hashers.items()}
