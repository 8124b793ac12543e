"""Modules that are imported when they are used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from wheelhouse.lazily import lazily


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that the module `late.module` writes when it runs."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "__init__.py").touch()
    text = f"from pathlib import Path\nPath({str(tmp_path / 'mark')!r}).touch()\nVALUE = 1\n"
    (tmp_path / "late" / "module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "mark"
    for name in ("late", "late.module"):
        sys.modules.pop(name, None)


def test_a_module_runs_when_something_in_it_is_used(mark: Path) -> None:
    with lazily():
        module = import_module("late.module")
    assert not mark.exists()
    assert module.VALUE == 1
    assert mark.exists()


@pytest.mark.usefixtures("mark")
def test_a_later_ordinary_import_gives_the_same_module() -> None:
    with lazily():
        module = import_module("late.module")
    assert import_module("late.module") is module
    assert module.VALUE == 1


def test_a_module_that_does_not_exist_is_missed_at_once(mark: Path) -> None:
    with pytest.raises(ModuleNotFoundError), lazily():
        import_module("late.absent")
    assert not mark.exists()


def test_a_module_that_is_imported_after_the_block_runs_at_once(mark: Path) -> None:
    with lazily():
        pass
    import_module("late.module")
    assert mark.exists()


def test_threads_that_use_a_module_at_the_same_time_see_all_of_it(mark: Path) -> None:
    path = mark.parent / "late" / "module.py"
    path.write_text("import time\nFIRST = 1\ntime.sleep(0.2)\nLAST = 2\n")
    with lazily():
        module = import_module("late.module")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: (module.FIRST, module.LAST), range(8)))
    assert found == [(1, 2)] * 8


def test_a_module_that_fails_fails_each_time_that_it_is_used(mark: Path) -> None:
    (mark.parent / "late" / "module.py").write_text("raise ZeroDivisionError\n")
    with lazily():
        module = import_module("late.module")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            _ = module.VALUE
