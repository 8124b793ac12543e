from __future__ import annotations

import hashlib
import os
from pathlib import Path, PureWindowsPath

import pytest

from bundler.node import share
from bundler.node.errors import OfflineRunError


def test_a_file_that_was_changed_or_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("x")
    with pytest.raises(OfflineRunError, match="was changed after it was published"):
        share.read_checked(str(tmp_path / "s.py"), "0" * 64, "the script")
    with pytest.raises(
        OfflineRunError, match="ask the administrator of the nodes whether the store is mounted"
    ):
        share.read_checked(str(tmp_path / "gone" / "s.py"), "0" * 64, "the script")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.py"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for read in (share.read_checked, share.copy_checked):
        with pytest.raises(OfflineRunError, match="was changed after it was published"):
            read(
                str(path),
                str(tmp_path / "copy") if read is share.copy_checked else "0" * 64,
                "0" * 64,
            )


def test_a_copy_is_the_file_or_is_told_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    share.copy_checked(str(tmp_path / "a"), str(tmp_path / "b"), hashlib.sha256(b"abc").hexdigest())
    assert (tmp_path / "b").read_bytes() == b"abc"
    with pytest.raises(OfflineRunError, match="was changed after it was published"):
        share.copy_checked(str(tmp_path / "a"), str(tmp_path / "b"), "0" * 64)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("\\\\?\\UNC\\server\\share\\a b#c", "file://server/share/a%20b%23c/wheels"),
        ("\\\\?\\unc\\server\\share", "file://server/share/wheels"),
        ("\\\\?\\D:\\store", "file:///D:/store/wheels"),
        ("\\\\server\\share\\x", "file://server/share/x/wheels"),
        ("D:\\store", "file:///D:/store/wheels"),
    ],
)
def test_a_path_of_windows_becomes_a_url_that_uv_reads(path: str, url: str) -> None:
    assert PureWindowsPath(share.without_prefix(path), "wheels").as_uri() == url


def test_a_path_of_another_system_stays_as_it_is() -> None:
    assert share.without_prefix("/shared/store") == "/shared/store"
