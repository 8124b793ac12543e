"""Several users of one store, with real users, groups and umasks."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bundler import api
from tests.integration.test_publication import damage_of
from wheelhouse.errors import FileError, StoreError
from wheelhouse.store.creation import create_store
from wheelhouse.store.sharing import share, sharing

ANN, BEN, EVE = 40_001, 40_002, 40_003
TEAM = 50_000
needs_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can be several users"
)
# Imports everything first, since the user may not enter the folder of this Python.
_PROGRAM = """
import importlib, json, os, pkgutil, sys
import bundler, wheelhouse
for package in (bundler, wheelhouse):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "__main__" not in module.name and "templates" not in module.name:
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError:
                pass
import getpass, socket, encodings.idna, encodings.cp437
from bundler.publications import program
program.join(program.JOB), program.join(program.COLLECTOR)
user, groups, mask, sys.argv = json.loads(sys.stdin.read())
os.setgroups(groups)
os.setgid(user)
os.setuid(user)
os.umask(mask)
bundler.cli.main()
"""


def run_as(
    user: int, *arguments: str | Path, mask: int = 0o022, team: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `bundler` with `arguments` as `user`, who has a group of their own, and the umask `mask`."""
    request = [user, [TEAM] if team else [], mask, ["bundler", *map(str, arguments)]]
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture
def place(open_folder: Path, bundles: dict[str, Path]) -> Path:
    """A folder with the bundles that every user can read."""
    for name, bundle in bundles.items():
        shutil.copytree(bundle, open_folder / name / bundle.name)
    return open_folder


def made_by_hand(path: Path, mode: int) -> Path:
    path.mkdir()
    os.chown(path, ANN, TEAM)
    path.chmod(mode)
    return path


@needs_root
@pytest.mark.parametrize("is_new", [False, True])
def test_members_of_a_group_publish_in_turn_whatever_their_umasks_are(
    place: Path, is_new: bool
) -> None:
    store = made_by_hand(place / "store", 0o2775)
    if is_new:
        store /= "new"
    publishers = [
        (ANN, "first", 0o077),
        (BEN, "second", 0o022),
        (EVE, "other", 0o077),
        (BEN, "first", 0o077),
    ]
    for user, name, mask in publishers:
        (bundle,) = (place / name).iterdir()
        done = run_as(user, "publish-index", store, bundle, mask=mask)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    assert damage_of(store) == []
    for path in store.rglob("*"):
        status = path.stat()
        assert status.st_gid == TEAM, path
        assert stat.S_IMODE(status.st_mode) in ((0o2775,) if path.is_dir() else (0o664, 0o444)), (
            path
        )


@needs_root
def test_a_store_for_a_group_is_set_up_by_init_and_repaired_by_its_owner(place: Path) -> None:
    (place / "shared").mkdir(mode=0o777)
    (place / "shared").chmod(0o777)
    store = place / "shared" / "store"
    assert run_as(ANN, "publish-index", store, next((place / "first").iterdir())).returncode == 0
    done = run_as(BEN, "publish-index", store, next((place / "second").iterdir()))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{BEN} may not write there (owner {ANN}, group {ANN}, mode 755)" in done.stderr
    done = run_as(ANN, "store", "init", store, "--group", str(TEAM))
    assert (done.returncode, done.stdout) == (0, f"{store}\n"), done.stderr
    done = run_as(BEN, "publish-index", store, next((place / "second").iterdir()), mask=0o077)
    assert done.returncode == 0, done.stderr
    assert run_as(ANN, "publish-index", store, next((place / "other").iterdir())).returncode == 0
    assert damage_of(store) == []


@needs_root
def test_a_folder_whose_group_is_not_inherited_is_explained(place: Path) -> None:
    store = made_by_hand(place / "store", 0o775)
    done = run_as(BEN, "publish-index", store, next((place / "first").iterdir()))
    assert done.returncode == 1
    assert f"error: {store}: new files would not belong to its group, {TEAM}\n" in done.stderr
    assert f"hint: ask {ANN} to run: bundler store init {store} --group {TEAM}\n" in done.stderr
    assert list(store.iterdir()) == []


@needs_root
def test_who_is_not_in_the_group_is_told_so(place: Path) -> None:
    store = made_by_hand(place / "store", 0o2775)
    assert run_as(ANN, "publish-index", store, next((place / "first").iterdir())).returncode == 0
    done = run_as(EVE, "publish-index", store, next((place / "second").iterdir()), team=False)
    assert done.returncode == 1
    assert f"{EVE} may not write there (owner {ANN}, group {TEAM}, mode 2775)" in done.stderr
    assert f"hint: ask the administrator to add {EVE} to the group {TEAM}" in done.stderr
    assert run_as(EVE, "store", "list", store, team=False).returncode == 0
    assert run_as(EVE, "store", "verify", store, team=False).returncode == 0


@needs_root
def test_members_remove_and_repair_what_others_published(place: Path) -> None:
    store = made_by_hand(place / "store", 0o2775)
    (publication,) = run_as(
        ANN, "publish-index", store, next((place / "first").iterdir())
    ).stdout.split()
    assert run_as(BEN, "publish-index", store, next((place / "other").iterdir())).returncode == 0
    next(store.glob("files/*/*/alpha-*.whl")).unlink()
    done = run_as(EVE, "store", "verify", store, "--repair")
    assert done.returncode == 0, done.stderr
    done = run_as(BEN, "store", "remove", store, Path(publication).name)
    assert done.returncode == 0, done.stderr
    assert damage_of(store) == []
    users = [
        line.split()[1].split("@")[0]
        for line in run_as(EVE, "store", "log", store).stdout.splitlines()
    ]
    assert users == [str(ANN), str(BEN), str(EVE), str(BEN)]


def test_a_private_store_is_warned_about(tmp_path: Path, bundles: dict[str, Path]) -> None:
    (tmp_path / "store").mkdir(mode=0o700)
    texts: list[str] = []
    api.publish(
        bundles["first"], tmp_path / "store", report=lambda progress: texts.append(progress.text)
    )
    assert f"hint: run `chmod -R o+rX {tmp_path}/store`" in texts[-1]


def test_the_umask_is_that_of_the_process_again(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        create_store(tmp_path / "store")
        with pytest.raises(FileError), sharing(tmp_path / "store"):
            raise FileError(tmp_path, OSError("broken"))
        entered, leave = threading.Event(), threading.Event()

        def other() -> None:
            with sharing(tmp_path / "store"):
                entered.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        with sharing(tmp_path / "store"):
            thread.start()
            entered.wait(10)
        leave.set()
        thread.join()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_an_unknown_group_is_explained(tmp_path: Path) -> None:
    create_store(tmp_path / "store")
    with pytest.raises(StoreError, match="there is no group engineers-of-nowhere"):
        share(tmp_path / "store", "engineers-of-nowhere")
