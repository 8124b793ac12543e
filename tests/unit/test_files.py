from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from wheelhouse import files
from wheelhouse.errors import FileError


def test_a_copy_is_hashed_on_the_way(tmp_path: Path) -> None:
    data = os.urandom(files.CHUNK * 2 + 7)
    (tmp_path / "a").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    assert (
        files.copy_hashed(tmp_path / "a", tmp_path / "b") == digest == files.sha256(tmp_path / "b")
    )


def test_a_copy_that_does_not_fit_is_a_fault_and_not_a_short_copy(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(FileError, match="File too large"):
            files.copy_hashed(tmp_path / "a", tmp_path / "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "a/../b",
        "../a",
        "a//b",
        "a/./b",
        "a/",
        "C:/x",
        "c:x",
        "a\\b",
        "a\0b",
        "a\nb",
        "./a",
    ],
)
def test_a_path_that_leaves_its_folder_or_is_spelled_oddly_is_not_safe(path: str) -> None:
    assert not files.safe_path(path)


@given(st.text())
def test_a_safe_path_stays_inside_its_folder(text: str) -> None:
    if files.safe_path(text):
        assert Path("/bundle", text).resolve().is_relative_to("/bundle")


def test_a_plain_copy_reads_no_link_or_pipe_and_not_more_than_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert files.copy_plain(tmp_path / "a", tmp_path / "b", 3) == hashlib.sha256(b"123").hexdigest()
    assert (tmp_path / "b").read_bytes() == b"123"
    (tmp_path / "link").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(FileError, match="is not a regular file"):
            files.copy_plain(tmp_path / name, tmp_path / "c", 10)
    assert not (tmp_path / "c").exists()


def test_a_folder_that_others_remove_is_created_in_the_end(tmp_path: Path) -> None:
    folder, end = tmp_path / "a" / "b", threading.Event()

    def remove() -> None:
        while not end.is_set():
            for path in (folder, folder.parent):
                with contextlib.suppress(OSError):
                    path.rmdir()

    other = threading.Thread(target=remove)
    other.start()
    try:
        for _ in range(2000):
            files.make_folder(folder)
    finally:
        end.set()
        other.join()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        files.make_folder(tmp_path / "file")
