"""Publishing, and what publishing again restores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler import api
from bundler.progress import Progress, silent
from bundler.publications.history import events
from bundler.publications.restoring import Extent, find_damage
from bundler.publications.usage import published
from wheelhouse.store.damage import Damage
from wheelhouse.store.store import open_store


def damage_of(share: Path) -> list[Damage]:
    return find_damage(open_store(share), Extent(), report=silent)


def bytes_of(share: Path) -> dict[str, bytes]:
    """Return the files of the store, apart from its history; records and JSON pages have times, so not these."""
    return {
        path.relative_to(share).as_posix(): path.read_bytes()
        for path in share.rglob("*")
        if path.is_file()
        and path.suffix != ".json"
        and not path.relative_to(share).parts[0].startswith(".")
    }


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def append(path: Path) -> None:
    path.chmod(0o644)
    with path.open("ab") as out:
        out.write(b"more")


def replace(path: Path) -> None:
    """Replace the file, so that its other hard links are good."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


HARMS: tuple[Callable[[Path], None], ...] = (delete, empty, flip, append, replace, pipe, link)
FILES = (
    "files/*/*/beta-*.whl",
    "files/*/*/beta-*.whl.metadata",
    "records/beta/*.json",
    "simple/beta/index.html",
    "simple/beta/index.json",
    "simple/index.html",
    "simple/index.json",
    "publications/{}/wheels/beta-*.whl",
    "publications/{}/manifest.json",
    "publications/{}/SHA256SUMS",
    "publications/{}/exec_script.py",
    "publications/{}/publication.json",
    "publications/{}/README.txt",
    "publications/{}/targets/*/*/*.lock",
)


@pytest.mark.parametrize("pattern", FILES)
def test_publishing_again_restores_whatever_was_damaged(
    share: Path, bundles: dict[str, Path], pattern: str
) -> None:
    assert damage_of(share) == []
    before = bytes_of(share)
    name = published(open_store(share))[0].name
    for harm in HARMS:
        (path,) = share.glob(pattern.format(name))
        harm(path)
        assert damage_of(share) != [], harm
        api.publish(bundles["first"], share)
        assert damage_of(share) == [], harm
        assert bytes_of(share) == before, harm


@pytest.mark.parametrize("folder", ["files", "records", "simple", "records/beta", "simple/beta"])
def test_publishing_again_restores_folders(
    share: Path, bundles: dict[str, Path], folder: str
) -> None:
    before = bytes_of(share)
    shutil.rmtree(share / folder)
    for bundle in bundles.values():
        api.publish(bundle, share)
    assert damage_of(share) == []
    assert bytes_of(share) == before


def test_publications_that_share_a_damaged_file_get_the_good_one(
    share: Path, bundles: dict[str, Path]
) -> None:
    first, second, other = [entry.folder for entry in published(open_store(share))]
    name = "wheels/beta-1.0-py3-none-any.whl"
    assert (first / name).samefile(other / name)
    flip(first / name)
    assert len(damage_of(share)) == 4  # The file in the store, too.
    api.publish(bundles["other"], share)
    assert damage_of(share) == []
    assert (first / name).samefile(second / name)


def test_a_killed_publisher_leaves_nothing_but_in_one_folder_which_is_emptied_after_a_day(
    share: Path, bundles: dict[str, Path]
) -> None:
    left = share / ".partial" / ".solve-0123.0123456789ab.partial"
    left.mkdir()
    (left / "manifest.json").write_bytes(b"{}")
    api.publish(bundles["first"], share)
    assert left.exists()
    for path in (left / "manifest.json", left):
        os.utime(path, (1, 1))
    api.publish(bundles["first"], share)
    assert not left.exists()
    assert {path.name for path in share.iterdir() if path.name[0] == "."} == {".partial"}
    assert list((share / ".partial").iterdir()) == []


def test_publishing_again_says_what_it_restored_and_writes_it_into_the_log(
    share: Path, bundles: dict[str, Path]
) -> None:

    texts: list[str] = []

    def note(progress: Progress) -> None:
        texts.append(progress.text)

    api.publish(bundles["first"], share, report=note)
    assert texts[-1].endswith("is already published")
    next(share.glob("files/*/*/alpha-1.0-*.whl")).unlink()
    api.publish(bundles["first"], share, report=note)
    assert texts[-1].endswith("is already published (restored 1 wheel in the store)")
    last = events(open_store(share))[0][-1]
    assert (last.action, last.detail) == ("repair", "restored 1 wheel")
