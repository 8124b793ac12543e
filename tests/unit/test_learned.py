"""Files of which an index states no SHA-256: downloaded to the cache, and compared with the other digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wheelhouse.fetch.credentials import Credentials
from wheelhouse.fetch.learned import learn_sha256

DATA = hashlib.shake_128(b"wheel").digest(3_000_000)


def learn(tmp_path: Path, *stated: str) -> str:
    (tmp_path / "a.whl").write_bytes(DATA)
    url = (tmp_path / "a.whl").as_uri()
    return learn_sha256(
        "a.whl", url, frozenset(stated), frozenset(), tmp_path / "cache", Credentials()
    )


def files_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_the_file_is_in_the_cache_under_its_sha256(tmp_path: Path) -> None:
    sha256 = learn(tmp_path, f"md5:{hashlib.md5(DATA).hexdigest()}")  # noqa: S324 - what old indexes state
    assert sha256 == hashlib.sha256(DATA).hexdigest()
    (path,) = files_in(tmp_path / "cache")
    assert (path.name, path.read_bytes()) == (sha256, DATA)
    assert learn(tmp_path) == sha256


def test_a_file_with_another_digest_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the digest md5:"):
        learn(tmp_path, f"md5:{'0' * 32}")
    assert files_in(tmp_path / "cache") == []
