from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wheelhouse import atomic, files
from wheelhouse.errors import FileError


class BoomError(Exception):
    """Something went wrong while building."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "out"
    with atomic.building(place) as folder:
        (folder / "a").write_text("1")
        assert not place.exists()
    assert names(place) == ["a"]
    assert names(place.parent) == ["out"]


def test_a_failed_building_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with atomic.building(place) as folder:
        (folder / "good").touch()
    with pytest.raises(BoomError), atomic.building(place) as folder:
        (folder / "half").touch()
        raise BoomError
    assert names(place) == ["good"]
    assert names(tmp_path) == ["out"]


def test_a_new_folder_takes_the_place_of_the_old_one_with_nothing_left_of_it(
    tmp_path: Path,
) -> None:
    place = tmp_path / "out"
    for name in ("old", "new"):
        with atomic.building(place) as folder:
            (folder / name).touch()
    assert names(place) == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_kill_between_the_two_renames_is_mended_by_the_next_run(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with atomic.building(place) as folder:
        (folder / "good").touch()
    place.rename(tmp_path / ".out.0123456789ab.old")  # as a killed run leaves it
    with pytest.raises(BoomError), atomic.building(place):
        raise BoomError
    assert names(place) == ["good"]


def test_what_a_killed_run_left_is_removed_after_a_day_and_not_before(tmp_path: Path) -> None:
    place, old, young, other = (
        tmp_path / name
        for name in (
            "out",
            ".out.00000000000a.partial",
            ".out.00000000000b.partial",
            ".out.x.00000000000a.partial",
        )
    )
    for folder in (old, young, other):
        folder.mkdir()
    yesterday = time.time() - 25 * 3600
    for folder in (old, other):
        os.utime(folder, (yesterday, yesterday))
    with atomic.building(place):
        pass
    assert names(tmp_path) == [".out.00000000000b.partial", "out"]  # whatever it was for


def test_writing_the_same_bytes_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page"
    atomic.write(path, b"one")
    before = path.stat()
    atomic.write(path, b"one")
    assert path.stat().st_ino == before.st_ino
    atomic.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["page"]


def test_only_the_first_claim_of_a_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "record"
    assert atomic.claim(path, b"mine")
    assert not atomic.claim(path, b"yours")
    assert path.read_bytes() == b"mine"
    assert names(tmp_path) == ["record"]


def test_a_name_below_a_file_cannot_be_claimed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="file"):
        atomic.claim(tmp_path / "file" / "name", b"mine")


def test_where_there_are_no_hard_links_names_are_claimed_and_files_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "record"
    assert atomic.claim(path, b"mine")
    assert not atomic.claim(path, b"yours")
    files.link(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes() == b"mine"


def test_what_the_disk_says_is_told_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"{tmp_path}/none: No such file or directory"):
        files.sha256(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="is not a folder"):
        atomic.write(tmp_path / "file" / "below", b"")


def test_many_runs_for_one_folder_at_once_end_with_one_whole_folder(tmp_path: Path) -> None:
    place = tmp_path / "out"

    def run(number: int) -> None:
        for _ in range(20):
            with atomic.building(place) as folder:
                (folder / "a").write_text(str(number))
                (folder / "b").write_text(str(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    assert (place / "a").read_text() == (place / "b").read_text()
    assert names(tmp_path) == ["out"]


def test_who_comes_second_without_replacing_leaves_the_first(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with atomic.building(place, replace=False) as one, atomic.building(place, replace=False) as two:
        (one / "one").touch()
        (two / "two").touch()
    assert names(place) == ["two"]
    assert names(tmp_path) == ["out"]


def test_folders_in_the_making_are_cleared_of_what_was_abandoned(tmp_path: Path) -> None:
    folder = tmp_path / "partial"
    atomic.clear_abandoned(folder)
    for name in ("old", "young"):
        (folder / name).touch()
    yesterday = time.time() - 25 * 3600
    os.utime(folder / "old", (yesterday, yesterday))
    atomic.clear_abandoned(folder)
    assert names(folder) == ["young"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_that_is_replaced_is_there_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    path = tmp_path / "x"
    for number in range(3):
        with atomic.building(path) as folder:
            (folder / "number").write_text(str(number))
        assert (path / "number").read_text() == str(number)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes two names at once")
def test_nobody_ever_finds_a_replaced_folder_missing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.mkdir()
    missing = 0
    done = threading.Event()

    def look() -> None:
        nonlocal missing
        while not done.is_set():
            missing += not path.is_dir()

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(300):
        with atomic.building(path):
            pass
    done.set()
    watcher.join()
    assert missing == 0


def test_a_created_file_appears_when_it_is_complete_and_a_failure_leaves_the_earlier_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "file"
    with atomic.creating(path) as partial:
        partial.write_bytes(b"one")
        assert not path.exists()
    with pytest.raises(BoomError), atomic.creating(path) as partial:
        partial.write_bytes(b"two")
        raise BoomError
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"one"


def test_a_created_file_replaces_no_folder_pipe_device_or_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "is not a regular file"),
        (tmp_path / "link", "is not a regular file"),
        (tmp_path / "dangling", "is not a regular file"),
        (Path("/dev/null"), "is not a regular file"),
        (Path(), "is a folder"),
    ):
        with pytest.raises(FileError, match=reason), atomic.creating(path):
            pass
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["dangling", "link", "pipe"]
