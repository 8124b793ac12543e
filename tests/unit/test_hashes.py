from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from wheelhouse.hashes import all_normalized, difference, normalized, sha256_in

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_digest_of_a_known_algorithm_is_compared_with_the_file(
    tmp_path: Path, algorithm: str
) -> None:
    (tmp_path / "file").write_bytes(b"text")
    stated = normalized(
        f" {algorithm.upper()}:{hashlib.new(algorithm, b'text').hexdigest().upper()}\n"
    )
    other = normalized(f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}")
    sides = {
        "stated": frozenset({stated}),
        "allowed": frozenset({stated, other}),
        "other": frozenset({other}),
    }
    assert difference(tmp_path / "file", sides["stated"], sides["allowed"]) == ""
    assert difference(tmp_path / "file", frozenset(), frozenset()) == ""
    fault = difference(tmp_path / "file", sides["other"], frozenset())
    assert fault == f"has the digest {stated}, but the lock says {other}"
    assert difference(tmp_path / "file", sides["stated"], sides["other"]).startswith(
        "has none of the hashes"
    )


@pytest.mark.parametrize(
    "text", ["", "sha256", "sha256:", "sha256:00", "sha3_256:" + "0" * 64, "md5:" + "g" * 32]
)
def test_a_digest_that_cannot_be_compared_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="the hash"):
        normalized(text)


@given(st.text())
def test_no_text_is_taken_for_a_digest_by_mistake(text: str) -> None:
    try:
        algorithm, digest = normalized(text).split(":")
    except ValueError:
        return
    assert algorithm in ALGORITHMS
    assert int(digest, 16) >= 0


def test_tables_and_sets_of_digests() -> None:
    table = all_normalized({"sha256": "A" * 64, "md5": "b" * 32})
    assert table == {"sha256:" + "a" * 64, "md5:" + "b" * 32}
    assert sha256_in(table) == {"a" * 64}
