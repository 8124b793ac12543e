from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bundler.node import errors
from bundler.node.errors import ERROR_FILE, OfflineRunError


def test_the_error_file_names_the_node_the_problem_and_the_remedy(tmp_path: Path) -> None:
    errors.reserve_error_file(str(tmp_path))
    errors.store_error(str(tmp_path), OfflineRunError("uv is too old", "update it"))
    first, second = (tmp_path / ERROR_FILE).read_text().splitlines()
    assert first.startswith("node ")
    assert first.endswith(": uv is too old")
    assert second == "hint: update it"


def test_an_error_of_another_kind_is_stored_with_its_type(tmp_path: Path) -> None:
    errors.store_error(str(tmp_path), KeyError("x"))
    assert (tmp_path / ERROR_FILE).read_text().endswith(": KeyError: 'x'\n")


def test_the_error_file_of_a_task_without_an_error_is_removed(tmp_path: Path) -> None:
    errors.reserve_error_file(str(tmp_path))
    errors.remove_error_file(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_keeps_no_error_and_raises_none(tmp_path: Path) -> None:
    errors.reserve_error_file(str(tmp_path / "absent"))
    errors.store_error(str(tmp_path / "absent"), KeyError("x"))
    errors.remove_error_file(str(tmp_path / "absent"))


def test_a_folder_with_room_is_not_full(tmp_path: Path) -> None:
    assert not errors.is_full(str(tmp_path))
    assert errors.full_folder(str(tmp_path)) is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_not_called_full(tmp_path: Path) -> None:
    assert not errors.is_full(str(tmp_path / "absent"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_error_about_a_full_disk_elsewhere_is_about_the_cache(
    tmp_path: Path, number: int
) -> None:
    reason = errors.explained(OSError(number, os.strerror(number)), str(tmp_path))
    assert "the disk of the uv cache is full" in str(reason)


def test_another_error_is_not_explained(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "denied"), ValueError("x")):
        assert errors.explained(error, str(tmp_path)) is error
