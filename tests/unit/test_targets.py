from __future__ import annotations

from pathlib import Path

import pytest

from bundler.bundles.targets import released_pythons, requested_targets, targets_for
from bundler.errors import CombinedError
from bundler.sources.script import Script, read_script
from wheelhouse.errors import UvError


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


def script(tmp_path: Path, requires: str) -> Script:
    path = tmp_path / "solve.py"
    path.write_text(f'# /// script\n# requires-python = "{requires}"\n# dependencies = []\n# ///\n')
    return read_script(path)


def test_targets_that_nobody_requested_are_named(tmp_path: Path) -> None:
    source = script(tmp_path, ">=3.10")
    chosen = requested_targets([source], ["3.12"], [], own_python=False)
    assert chosen.note.startswith("Bundling for Python 3.12 on ")
    assert "(this machine)" in chosen.note
    platform = "x86_64-manylinux_2_28"
    assert requested_targets([source], ["3.12"], [platform], own_python=False).note == ""
    chosen = requested_targets([source], [], [platform], own_python=False)
    assert chosen.note == f"Bundling for Python {chosen.targets[0].python}"


def test_a_script_that_no_python_here_can_run_is_for_the_newest_release_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(*_: object) -> str:
        raise UvError("no Python on this machine", "")

    monkeypatch.setattr("wheelhouse.resolve.uv.python_for", none_here)
    monkeypatch.delenv("UV_PYTHON", raising=False)
    chosen = requested_targets([script(tmp_path, ">=3.10,<3.14")], [], [], own_python=False)
    assert [target.python for target in chosen.targets] == ["3.13"]
    with pytest.raises(UvError, match="hint: change requires-python"):
        requested_targets([script(tmp_path, ">=99")], [], [], own_python=False)
