from __future__ import annotations

from typing import Any

import pytest

from bundler.node import facts
from tests.stand_ins.descriptions import target


@pytest.mark.parametrize(
    ("node", "wanted", "reason"),
    [
        (("Linux", "x86_64", ("glibc", 2, 28)), target(), None),
        (("Linux", "x86_64", ("glibc", 2, 36)), target(), None),
        (("Linux", "x86_64", ("glibc", 2, 17)), target(), "needs glibc 2.28"),
        (("Linux", "x86_64", ("musl", 1, 2)), target(), "needs glibc 2.28"),
        (("Linux", "x86_64", ("glibc", 2, 36)), target(libc=["musl", 1, 2]), "needs musl 1.2"),
        (("Linux", "x86_64", None), target(), None),
        (("Linux", "aarch64", ("glibc", 2, 36)), target(), "is for Linux on x86_64"),
        (("Windows", "x86_64", None), target("Windows", "AMD64", None), None),
        (("Windows", "x86_64", None), target(), "is for Linux on x86_64"),
        (("Darwin", "aarch64", None), target("Darwin", "arm64", None), None),
        (("Darwin", "x86_64", None), target("Darwin", "arm64", None), "is for Darwin on aarch64"),
    ],
)
def test_a_target_fits_a_node_or_says_why_not(node: Any, wanted: Any, reason: str | None) -> None:
    assert facts.misfit(wanted, node) == reason


def test_the_facts_of_this_node_are_true() -> None:
    system, machine, libc = facts.node_facts()
    assert system == "Linux"
    assert machine in ("x86_64", "aarch64")
    assert libc is not None
    assert libc[0] in ("glibc", "musl")
