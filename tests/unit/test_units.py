from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.units import counted, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512 MB", 512_000_000),
        ("1.5GiB", 3 << 29),
        ("10", 10),
        (7, 7),
        ("2 kB", 2000),
        ("1 T", 10**12),
    ],
)
def test_sizes_are_read_as_people_write_them(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90 min", 5400), ("2 h", 7200), ("30", 30), (1.5, 1.5), ("1 d", 86400), ("0.5h", 1800)],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "much", "-1", "1 XB", "1 2", "1e9 MB", None, [1]])
def test_what_is_neither_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size such as 512 MB"):
        parse_size(text)
    with pytest.raises(ValueError, match="must be a duration such as 90 min or 2 h"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_number_of_bytes_is_itself(size: int) -> None:
    assert parse_size(str(size)) == size


def test_one_is_no_plural() -> None:
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
