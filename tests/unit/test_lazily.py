"""Modules that are imported when they are used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, reload
from pathlib import Path

import pytest

from bundler.lazily import lazily


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that the module `late.module` writes when it runs; `late` counts as a package of ours."""
    monkeypatch.setattr("bundler.lazily._OURS", ("late.",))
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


@pytest.mark.parametrize("name", ["__file__", "__path__", "__spec__", "__name__"])
def test_a_module_does_not_run_for_a_question_about_itself(mark: Path, name: str) -> None:
    with lazily():
        module = import_module("late.module")
    getattr(module, name, None)
    assert not mark.exists()


def test_a_module_runs_for_its_contents(mark: Path) -> None:
    with lazily():
        module = import_module("late.module")
    assert vars(module)["VALUE"] == 1
    assert mark.exists()


def test_what_is_set_in_a_module_stays_when_it_runs(mark: Path) -> None:
    with lazily():
        module = import_module("late.module")
    module.VALUE = 2  # type: ignore[attr-defined]
    assert mark.exists()
    assert module.VALUE == 2


def test_a_module_can_be_loaded_again(mark: Path) -> None:
    with lazily():
        module = import_module("late.module")
    assert module.VALUE == 1
    mark.unlink()
    assert reload(module) is module
    assert mark.exists()


def test_what_another_thread_imports_meanwhile_runs_at_once(mark: Path) -> None:
    with lazily(), ThreadPoolExecutor(1) as pool:
        pool.submit(import_module, "late.module").result()
        assert mark.exists()


def test_modules_of_others_run_at_once(mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.lazily._OURS", ("bundler.",))
    with lazily():
        import_module("late.module")
    assert mark.exists()
