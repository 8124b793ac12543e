"""What a signature says."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bundler.trust.statement import Statement, parse

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.]{0,20}", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
STATEMENTS = st.builds(
    Statement,
    st.datetimes().map(lambda time: f"{time.replace(microsecond=0).isoformat()}Z"),
    st.dictionaries(NAMES, DIGESTS, min_size=1, max_size=9),
)


@given(STATEMENTS)
def test_a_statement_is_read_as_it_was_written(statement: Statement) -> None:
    assert parse(statement.to_bytes()) == statement


@given(
    st.binary(max_size=200)
    | STATEMENTS.map(lambda statement: statement.to_bytes()[:-1] + b"\xc3\xa9\n")
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of any kind
        parse(data)


@given(STATEMENTS, st.integers(min_value=0), st.sampled_from([b" ", b"\n", b"A", b"#", b"\0"]))
def test_a_changed_statement_says_something_else_or_is_refused(
    statement: Statement, at: int, byte: bytes
) -> None:
    data = statement.to_bytes()
    changed = data[: at % len(data)] + byte + data[at % len(data) :]
    with contextlib.suppress(ValueError):
        assert parse(changed) != statement


def test_a_file_that_is_listed_twice_is_refused() -> None:
    line = f"{'a' * 64}  manifest.json\n{'b' * 64}  manifest.json\n"
    with pytest.raises(ValueError, match="twice"):
        parse(f"# signed: 2026-01-02T03:04:05Z\n{line}".encode())


def test_sha256sum_checks_a_statement(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"{}")
    statement = Statement(
        "2026-01-02T03:04:05Z", {"manifest.json": hashlib.sha256(b"{}").hexdigest()}
    )
    (tmp_path / "statement").write_bytes(statement.to_bytes())
    for expected in (0, 1):
        done = subprocess.run(
            ["sha256sum", "--strict", "--check", "statement"], cwd=tmp_path, check=False
        )
        assert done.returncode == expected
        (tmp_path / "manifest.json").write_bytes(b"[]")
