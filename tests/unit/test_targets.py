from __future__ import annotations

import pytest

from bundler.bundles.targets import released_pythons, targets_for
from bundler.errors import CombinedError


def test_a_range_of_pythons_means_every_released_minor_in_it() -> None:
    found = targets_for([], [">=3.11,<3.13"], ["windows", "x86_64-manylinux_2_28"])
    assert [target.python for target in found] == ["3.12", "3.11", "3.12", "3.11"]
    assert [target.python for target in targets_for([], ["~=3.12.4"], ["windows"])] == ["3.12"]


@pytest.mark.parametrize("text", [">=2.0,<3", ">=99", ">=a", "=="])
def test_a_range_without_pythons_is_refused(text: str) -> None:
    with pytest.raises(CombinedError, match=r"matches no released Python|is not a range"):
        targets_for([], [text], ["windows"])


def test_a_python_in_the_making_is_in_no_range() -> None:
    assert "3.12" in released_pythons()
    assert all(version.count(".") == 1 for version in released_pythons())


def test_other_kinds_of_python_are_targets_too() -> None:
    found = targets_for(
        [], ["3.13t", "cpython@3.13", "pypy@3.10", "3.13+freethreaded"], ["windows"]
    )
    assert [target.python for target in found] == ["3.13t", "3.13", "pypy3.10"]
    with pytest.raises(CombinedError, match="is not a Python that uv knows"):
        targets_for([], ["pypy3.99"], ["windows"])
