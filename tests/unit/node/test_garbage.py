from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bundler.node import garbage
from tests.conftest import started

MONTH = 31 * 24 * 3600


class Cache:
    """A uv cache with environments of publications in a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cache"
        self.kept = self.folder / "bundler"
        self.kept.mkdir(parents=True)
        self.publications = folder / "share" / "publications"
        self.publications.mkdir(parents=True)
        (folder / "share" / "store.json").touch()

    def add(self, name: str, size: int = 1000, age: float = 0.0, **more: Any) -> Path:
        """Add an environment that was used `age` seconds ago, of a publication of the same name."""
        (self.publications / name).mkdir(exist_ok=True)
        environment = self.folder / "environments-v2" / name
        environment.mkdir(parents=True)
        (environment / "x").write_bytes(bytes(size))
        use = self.kept / f"{name}.use"
        use.write_text(
            json.dumps(
                {"publication": str(self.publications / name), "holds": [str(environment)], **more}
            )
        )
        os.utime(use, (time.time() - age, time.time() - age))
        return environment

    def collect(self, limit: int = 10**9) -> int | None:
        freed: int | None = garbage.collect(str(self.folder), limit)
        return freed


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_what_is_used_stays_and_what_is_gone_or_long_unused_goes(cache: Cache) -> None:
    used, old, gone = cache.add("used"), cache.add("old", age=MONTH), cache.add("gone")
    (cache.publications / "gone").rmdir()
    assert cache.collect() == pytest.approx(2000, abs=600)
    assert used.exists()
    assert not old.exists()
    assert not gone.exists()
    assert sorted(path.name for path in cache.kept.iterdir()) == ["jobs.lock", "used.use"]


def test_a_share_that_is_out_of_reach_is_not_taken_for_empty(cache: Cache) -> None:
    environment = cache.add("used")
    (cache.publications / "used").rmdir()
    (cache.publications.parent / "store.json").unlink()
    cache.collect()
    assert environment.exists()


def test_over_the_limit_wheels_go_first_and_then_what_was_used_longest_ago(cache: Cache) -> None:
    for name in ("archive-v0", "wheels-v5"):
        (cache.folder / name).mkdir()
        (cache.folder / name / "x").write_bytes(bytes(5000))
    older, newer = cache.add("older", age=100), cache.add("newer")
    cache.collect(3000)
    assert not (cache.folder / "archive-v0").exists()
    assert older.exists()
    cache.collect(1600)
    assert not older.exists()
    assert newer.exists()


def test_what_was_used_last_stays_and_nothing_goes_in_vain(cache: Cache) -> None:
    older, newer = cache.add("older", age=100), cache.add("newer")
    (cache.folder / "of-somebody-else").write_bytes(bytes(9000))
    cache.collect(5000)
    assert older.exists()
    assert newer.exists()


def test_what_a_killed_collector_or_job_left_is_removed(cache: Cache) -> None:
    for name in (".going/archive-v0-1", ".unpacking-x/contents", "0123456789abcdef"):
        (cache.kept / name).mkdir(parents=True)
        (cache.kept / name / "x").write_bytes(bytes(100))
    cache.collect()
    assert [path.name for path in cache.kept.iterdir()] == ["jobs.lock"]


def test_nothing_goes_while_a_job_or_uv_holds_its_lock(cache: Cache) -> None:
    cache.add("old", age=MONTH)
    for lock in (cache.kept / "jobs.lock", cache.folder / ".lock"):
        with lock.open("a+b") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            assert cache.collect() is None
    assert cache.collect()


def test_what_still_runs_without_its_job_stays(cache: Cache) -> None:
    environment = cache.add("old", age=MONTH)
    python = environment / "python"
    python.symlink_to(sys.executable)
    with started([python, "-c", "import time; time.sleep(60)"]):
        time.sleep(0.2)
        cache.collect()
        assert environment.exists()
    cache.collect()
    assert not environment.exists()


@pytest.mark.parametrize(
    "holds",
    [
        ["/etc"],
        ["../../outside"],
        ["\0"],
        [3],
        "text",
        None,
        ["environments-v2"],
        [""],
        ["."],
        ["\ud800"],
    ],
)
def test_records_lead_nowhere_else(cache: Cache, tmp_path: Path, holds: object) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    cache.add("odd", age=MONTH, holds=holds)
    used = cache.add("used")
    (cache.folder / "environments-v2" / "link").symlink_to(outside)
    cache.collect(1)
    assert outside.exists()
    assert used.exists()


def test_a_folder_that_is_a_link_is_left_alone(cache: Cache, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    cache.kept.rename(elsewhere)
    cache.kept.symlink_to(elsewhere)
    (elsewhere / "0123456789abcdef").mkdir()
    assert cache.collect() == 0
    assert (elsewhere / "0123456789abcdef").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for others")
def test_root_cleans_with_the_rights_of_the_owner(open_folder: Path) -> None:
    cache = Cache(open_folder)
    old = cache.add("old", age=MONTH)
    for path in [cache.folder, *cache.folder.rglob("*")]:
        os.chown(path, 40_001, 40_001)
    roots = cache.kept / "0123456789abcdef"
    roots.mkdir()
    cache.kept.chmod(0o1777)
    os.chown(cache.kept, 0, 0)
    assert garbage.collect_as_owner(str(cache.folder), 10**9) is not None
    assert not old.exists()
    assert roots.exists()


@pytest.mark.parametrize("text", ["lots", "", "-1", "9" * 400, "1e3"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size such as 512 MB|is larger than any disk"):
        garbage.parse_size(text)


def test_a_limit_that_is_none_is_told_and_does_not_stop_it(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.add("old", age=MONTH)
    garbage.main([str(cache.folder), "lots"])
    out = capsys.readouterr().out
    assert "must be a size such as 512 MB (got 'lots'); using 20 GB" in out
    assert "of unused entries" in out
