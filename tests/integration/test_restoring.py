from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.progress import Progress
from bundler.publications import restoring
from bundler.publications.restoring import Extent, find_damage
from bundler.publications.usage import published
from tests.conftest import Workplace
from tests.integration.test_publication import (
    FILES,
    bytes_of,
    damage_of,
    delete,
    flip,
    pipe,
    replace,
)
from wheelhouse.store.store import open_store

# What only the bundle has.
LOST = ("manifest.json", "SHA256SUMS", "exec_script.py", "publication.json", "README.txt", "*.lock")


@pytest.mark.parametrize("pattern", [pattern for pattern in FILES if not pattern.endswith(LOST)])
def test_repair_restores_what_the_rest_of_the_store_has(
    site: Workplace, share: Path, pattern: str
) -> None:
    before = bytes_of(share)
    name = published(open_store(share))[0].name
    for harm in (delete, replace, pipe):
        (path,) = share.glob(pattern.format(name))
        harm(path)
        done = site.run("bundler", "store", "verify", share)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert str(path.relative_to(share)) in done.stderr
        done = site.run("bundler", "store", "verify", share, "--repair")
        assert done.returncode == 0, done.stderr
        assert re.search(r"^Restored \d files?$", done.stderr, re.MULTILINE)
        assert bytes_of(share) == before


@pytest.mark.parametrize("harm", [flip, delete])
def test_what_cannot_be_repaired_is_named(
    site: Workplace, share: Path, harm: Callable[[Path], None]
) -> None:
    first = published(open_store(share))[0]
    harm(first.folder / "exec_script.py")
    done = site.run("bundler", "store", "verify", share, "--repair", "--json")
    assert done.returncode == 1
    assert [entry["path"] for entry in json.loads(done.stdout)["damage"]] == [
        f"publications/{first.name}/exec_script.py"
    ]
    assert "publish the bundles of these files again" in done.stderr


def test_foreign_files_are_named_and_stay(site: Workplace, share: Path) -> None:
    names = ("files/note.txt", "records/note.txt", "simple/note.txt", "records/beta/note.txt")
    for name in names:
        (share / name).write_text("mine")
    done = site.run("bundler", "store", "verify", share, "--repair", "--json")
    assert [(entry["path"], entry["problem"]) for entry in json.loads(done.stdout)["damage"]] == [
        (name, "foreign") for name in sorted(names)
    ]
    assert all((share / name).exists() for name in names)


def interrupt_after(steps: int, share: Path) -> None:
    heard: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_damage(open_store(share), Extent(), report=interrupt)


def test_an_interrupted_run_is_resumed_with_what_it_found(
    share: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUNDLER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(restoring, "_EVERY", 0)
    paths = sorted(share.glob("files/*/*/*.whl"))
    replace(paths[0])
    interrupt_after(len(paths) - 1, share)
    assert {item.path for item in damage_of(share)} == {str(paths[0].relative_to(share))}
    interrupt_after(len(paths) - 1, share)
    (paths[0]).write_bytes(
        b""
    )  # It is not read again, so only what was recorded shows that it is wrong.
    heard: list[Progress] = []
    problems = find_damage(open_store(share), Extent(resume=True), report=heard.append)
    assert (
        heard[0].text == "Verifying 2 wheels"
    )  # The last one that was recorded, again, and the rest.
    assert [(item.path, item.problem) for item in problems] == [
        (str(paths[0].relative_to(share)), "changed")
    ]
    assert list((tmp_path / "cache" / "verify").iterdir()) == []


def test_a_sample_and_an_age_leave_out_the_rest(site: Workplace, share: Path) -> None:
    for path in share.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    flip(next(share.glob("files/*/*/beta-*.whl")))  # Through which the publications change, too.
    os.utime(next(share.glob("files/*/*/beta-*.whl")), (1, 1))
    assert site.run("bundler", "store", "verify", share, "--since", "7d").returncode == 0
    assert site.run("bundler", "store", "verify", share, "--sample", "100%").returncode == 1
    done = site.run("bundler", "store", "verify", share, "--sample", "0%")
    assert done.returncode == 2
    assert "must be a percentage such as 5%" in done.stderr


def test_nothing_that_never_ends_is_read(site: Workplace, share: Path) -> None:
    for pattern in ("files/*/*/beta-*.whl", "simple/beta/index.html", "records/beta/*.json"):
        (path,) = share.glob(pattern)
        path.unlink()
        path.symlink_to("/dev/zero")
    done = site.run("bundler", "store", "verify", share)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
