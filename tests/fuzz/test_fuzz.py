"""A short run of the fuzzer's targets: all that it kept, and what Hypothesis makes of that."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, check

# What parsers stumble over.
_PIECES = [
    b"",
    b"\0",
    b"[" * 2000,
    b"{}",
    b"null",
    b"1e999",
    b"NaN",
    b"-1",
    b'"\\ud800"',
    b"../",
    b"/",
    b"\xff\xfe",
    b"=",
    b"\n",
]


@st.composite
def changed(draw: st.DrawFn, target: str) -> bytes:
    """Draw a seed of `target` with a few pieces replaced."""
    data = draw(st.sampled_from(seeds(target)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data = data[:start] + draw(st.sampled_from(_PIECES) | st.binary(max_size=4)) + data[end:]
    return data


@pytest.mark.parametrize("target", TARGETS)
def test_what_led_somewhere_once_does_no_harm(target: str) -> None:
    for data in seeds(target):
        check(target, data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_nobody_foresaw_does_no_harm(target: str) -> None:
    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(changed(target))
    def feed(data: bytes) -> None:
        check(target, data)

    feed()


def test_no_odd_call_of_a_command_ends_in_a_traceback_or_never() -> None:
    command = [sys.executable, "-m", "tests.fuzz.command_line", "--calls", "200", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
