from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from bundler.node import cache
from bundler.node.errors import OfflineRunError


def test_without_a_cache_that_can_be_written_the_user_gets_one_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "file").touch()
    folder = Path(cache.cache_folder({"UV_CACHE_DIR": str(tmp_path / "file" / "cache")}))
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache.cache_folder({}) == str(folder)


def test_a_cache_that_others_prepared_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    folder = Path(cache.cache_folder({}))
    folder.chmod(0o777)
    with pytest.raises(OfflineRunError, match="belongs to another user"):
        cache.cache_folder({})
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OfflineRunError, match="belongs to another user"):
        cache.cache_folder({})


def test_in_a_cache_for_several_users_each_has_a_folder_of_his_own(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    folder = Path(cache.cache_folder({"UV_CACHE_DIR": str(shared)}))
    assert folder.parent == shared
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(OfflineRunError, match="belongs to another user"):
        cache.cache_folder({"UV_CACHE_DIR": str(shared)})


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can give folders away"
)
def test_a_cache_in_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    registered = tmp_path / "cache"
    registered.mkdir()
    os.chown(registered, 12_346, 12_346)
    registered.chmod(0o777)
    found = cache.cache_folder({"UV_CACHE_DIR": str(registered)})
    assert not found.startswith(str(registered))
    registered.chmod(0o1777)
    assert cache.cache_folder({"UV_CACHE_DIR": str(registered)}) == str(registered / "user-0")
