"""Stores on difficult file systems: without hard links, inodes, space or the right to write; with other clocks.

A kernel that exports NFS is not there for tests, so what NFS takes away is taken away one by one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bundler import api
from tests.conftest import BIN, Workplace
from tests.integration.test_publication import damage_of
from tests.stand_ins.nodes import MOUNTS
from tests.stand_ins.wheels import make_wheel
from wheelhouse import atomic
from wheelhouse.store.creation import create_store

# Takes hard links and flock from every file, as some file systems do.
NEITHER = """
#include <errno.h>
int link(const char *from, const char *to) { errno = EPERM; return -1; }
int linkat(int a, const char *from, int b, const char *to, int flags) { errno = EPERM; return -1; }
int flock(int file, int operation) { errno = ENOSYS; return -1; }
"""
needs_mounts = pytest.mark.skipif(not MOUNTS, reason="this system does not let users mount")


@pytest.fixture(scope="session")
def neither(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that takes hard links and flock from the programs that load it."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    folder = tmp_path_factory.mktemp("neither")
    (folder / "neither.c").write_text(NEITHER)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", "neither.so", "neither.c"], cwd=folder, check=True
    )
    return folder / "neither.so"


def test_without_hard_links_and_flock_publications_have_copies(
    workplace: Workplace, bundles: dict[str, Path], neither: Path, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    for bundle in bundles.values():
        # A process of its own: the library is loaded when it starts.
        done = workplace.run("env", f"LD_PRELOAD={neither}", BIN / "publish-index", share, bundle)
        assert done.returncode == 0, done.stderr
    assert damage_of(share) == []
    assert {path.stat().st_nlink for path in share.rglob("*") if path.is_file()} == {1}
    (publication,) = [
        path for path in (share / "publications").iterdir() if path.name.startswith("other-")
    ]
    done = workplace.run(
        "env", f"LD_PRELOAD={neither}", BIN / "bundler", "store", "remove", share, publication.name
    )
    assert done.returncode == 0, done.stderr
    assert damage_of(share) == []


def mounted(options: str, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command where `folder` is a file system in memory, mounted with `options`; return its outputs."""
    text = f"mount -t tmpfs -o {options} none {folder}; {command}"
    return subprocess.run(
        ["unshare", "-rm", "sh", "-ec", text],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@needs_mounts
@pytest.mark.parametrize(
    ("options", "message"),
    [("nr_inodes=60", "no inodes left"), ("size=400k", "no space left on the disk")],
)
def test_a_full_file_system_is_explained_and_what_was_there_stays(
    workplace: Workplace, bundles: dict[str, Path], tmp_path: Path, options: str, message: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    folder = workplace.folder / "many"
    folder.mkdir()
    for number in range(40):
        name, data = make_wheel(f"project-{number}", files={"data.bin": bytes(range(256)) * 40})
        (folder / name).write_bytes(data)
    publish = f"{BIN}/publish-index {disk}/share"
    command = (
        f"{publish} {bundles['other']} > /dev/null; {publish} {folder} && exit 9; "
        f"ls -A {disk}/share/.partial; {BIN}/bundler store list {disk}/share"
    )
    done = mounted(options, command, disk)
    assert done.returncode == 0, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("publication ")  # Nothing half-made is left.
    assert [line.split("-")[0] for line in lines[1:]] == ["other"]


@needs_mounts
def test_a_read_only_store_can_be_read_and_a_change_is_explained(
    site: Workplace, share: Path, bundles: dict[str, Path]
) -> None:
    commands = [
        f"{BIN}/bundler store list {share} > /dev/null",
        f"{BIN}/bundler store verify {share}",
        f"{BIN}/bundler store log {share} > /dev/null",
        f"{BIN}/bundler store yank {share} beta-1.0-py3-none-any.whl --reason broken && exit 9",
        f"{BIN}/publish-index {share} {bundles['first']} --seen-at /x && exit 9",
        "true",
    ]
    text = f"mount --bind {share} {share}; mount -o remount,ro,bind {share}; " + "; ".join(commands)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-ec", text],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=site.environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Read-only file system") == 2
    assert "Traceback" not in done.stderr


def test_a_publisher_whose_clock_is_days_ahead_deletes_no_work_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = create_store(tmp_path / "share")
    (place.scratch / ".solve.0123456789ab.partial").mkdir()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    create_store(tmp_path / "share")
    assert (place.scratch / ".solve.0123456789ab.partial").exists()
    assert (
        abs(
            atomic.now(place.scratch)
            - (place.scratch / ".solve.0123456789ab.partial").stat().st_mtime
        )
        < 60
    )


def test_a_store_with_many_projects_is_published_to_as_quickly(
    tmp_path: Path, bundles: dict[str, Path]
) -> None:
    place = create_store(tmp_path / "share")
    api.publish(bundles["first"], place.path)
    for number in range(20_000):
        (place.path / "records" / f"project-{number}").mkdir()
    api.publish(bundles["second"], place.path)
    page = json.loads((place.path / "simple" / "index.json").read_bytes())
    assert len(page["projects"]) == 20_002
