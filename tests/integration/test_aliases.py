from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bundler.errors import BundlerError
from bundler.jobs.submission import compose
from bundler.publications.aliases import aliases, pinned, point
from bundler.publications.usage import published
from tests.conftest import Workplace
from wheelhouse.store.store import open_store


def test_an_alias_moves_in_one_step_and_has_a_history(
    site: Workplace, share: Path, bundles: dict[str, Path]
) -> None:
    first, second, _ = published(open_store(share))
    for bundle in ("first", "second"):
        done = site.run("publish-index", share, bundles[bundle], "--as", "solve", "--note", bundle)
        assert (done.returncode, done.stdout) == (0, f"{share}/aliases/solve\n"), done.stderr
    assert (share / "aliases" / "solve").resolve() == second.folder
    done = site.run("bundler", "store", "alias", share, "solve", first.name)
    assert (done.returncode, done.stdout) == (0, f"{share}/aliases/solve\n")
    assert site.run("bundler", "store", "alias", share).stdout == f"solve  {first.name}\n"
    moves = json.loads(site.run("bundler", "store", "alias", share, "solve", "--json").stdout)[
        "moves"
    ]
    assert [move["change"] for move in moves] == [
        f"new -> {first.name}",
        f"{first.name} -> {second.name}",
        f"{second.name} -> {first.name}",
    ]
    assert [move["note"] for move in moves] == ["first", "second", ""]


def test_jobs_are_pinned_to_what_an_alias_points_to(share: Path) -> None:
    place = open_store(share)
    first, second, _ = published(place)
    path = point(place, "solve", first.name)
    submission = compose(path, [{}])
    point(place, "solve", second.name)
    assert (submission.publication, submission.folder) == (first.name, first.folder)
    assert submission.exec_script == (first.folder / "exec_script.py").read_bytes()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "-x", "é"])
def test_a_name_that_is_no_plain_file_name_is_refused(share: Path, name: str) -> None:
    place = open_store(share)
    with pytest.raises(BundlerError, match="cannot be an alias"):
        point(place, name, published(place)[0].name)


@pytest.mark.parametrize(
    "target", ["/etc", "../../etc", "../publications/../../etc", "../publications"]
)
def test_a_link_to_elsewhere_is_not_an_alias(share: Path, target: str) -> None:
    (share / "aliases").mkdir()
    (share / "aliases" / "solve").symlink_to(target)
    assert aliases(open_store(share)) == {}
    assert pinned(share / "aliases" / "solve") == share / "aliases" / "solve"


def test_a_publication_that_does_not_exist_is_refused(site: Workplace, share: Path) -> None:
    done = site.run("bundler", "store", "alias", share, "solve", "absent")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {share} has no publication absent\n")
    assert not os.path.lexists(share / "aliases" / "solve")
