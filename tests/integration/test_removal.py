"""Removing publications, with real readers, publishers and interruptions."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bundler import api
from bundler.errors import BundlerError
from bundler.progress import silent
from bundler.publications import usage
from bundler.publications.aliases import aliases, point
from bundler.publications.history import events
from bundler.publications.leases import leave
from bundler.publications.removal import Removal, finish, outdated, plan, remove, require_unused
from bundler.publications.usage import Published, find, published
from tests.conftest import Workplace
from tests.integration.test_publication import damage_of
from wheelhouse.store import discard
from wheelhouse.store.pages import write_pages
from wheelhouse.store.store import Store, open_store
from wheelhouse.store.yank import yank

DAY = 86400.0


@pytest.fixture
def place(share: Path) -> Store:
    return open_store(share)


def run(place: Store, *names: str, note: str = "") -> Removal:
    planned = plan(place, find(place, names))
    remove(place, planned, note, report=silent)
    return planned


def newest(place: Store, bundle: str) -> Published:
    return [
        entry for entry in published(place) if entry.manifest and entry.manifest.name == bundle
    ][-1]


def wheels(place: Store) -> set[str]:
    return {path.name for path in place.path.glob("files/*/*/*.whl")}


def links(place: Store) -> set[str]:
    return {
        path.name
        for page in place.path.glob("simple/*/index.html")
        for path in place.path.glob("files/*/*/*.whl")
        if f"/{path.name}#" in page.read_text()
    }


def test_what_no_other_publication_uses_leaves_files_records_and_pages(place: Store) -> None:
    first = published(place)[0]
    own = sum(
        path.stat().st_size
        for path in first.folder.rglob("*")
        if path.is_file() and "beta" not in path.name
    )
    planned = run(place, first.name, note="old")
    assert planned.wheels == {"alpha-1.0-py3-none-any.whl"}
    assert planned.size == own
    assert (
        wheels(place) == links(place) == {"alpha-2.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"}
    )
    assert not list(place.path.rglob("alpha-1.0*"))
    assert not first.folder.exists()
    assert damage_of(place.path) == []
    last = events(place)[0][-1]
    assert (last.action, last.subject, last.note) == ("remove", first.name, "old")


def test_a_project_without_files_leaves_the_index(place: Store) -> None:
    run(place, *(entry.name for entry in published(place)))
    assert place.projects() == []
    assert wheels(place) == set()
    assert {path.name for path in (place.path / "simple").iterdir()} == {"index.html", "index.json"}
    assert damage_of(place.path) == []
    assert not list((place.path / "files").rglob("*.whl*"))


def test_a_removed_publication_can_be_published_again(
    place: Store, bundles: dict[str, Path]
) -> None:
    first = published(place)[0]
    run(place, first.name)
    assert api.publish(bundles["first"], place.path) == first.folder
    assert damage_of(place.path) == []


def test_a_dry_run_states_what_a_run_frees_and_changes_nothing(
    site: Workplace, place: Store
) -> None:
    first = published(place)[0]
    before = {path: path.stat().st_mtime_ns for path in place.path.rglob("*") if path.is_file()}
    done = site.run("bundler", "store", "remove", place.path, first.name, "--dry-run")
    assert (done.returncode, done.stdout) == (0, f"{first.name}\n"), done.stderr
    assert {
        path: path.stat().st_mtime_ns for path in place.path.rglob("*") if path.is_file()
    } == before
    after = site.run("bundler", "store", "remove", place.path, first.name)
    assert after.stderr.splitlines()[-1] == done.stderr.replace("Would remove", "Removed").strip()


def test_a_publication_with_a_lease_or_an_alias_is_kept_unless_forced(
    site: Workplace, place: Store
) -> None:
    first, second, _ = published(place)
    assert leave(first.folder, "project-1")
    point(place, "solve", second.name)
    for entry, reason in (
        (first, "submitted 0 days ago as HPS project project-1"),
        (second, "the alias solve points to it"),
    ):
        done = site.run("bundler", "store", "remove", place.path, entry.name)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"  {entry.name}: {reason}\n" in done.stderr
        assert "hint: use --force" in done.stderr
        assert entry.folder.exists()
        assert (
            site.run("bundler", "store", "remove", place.path, entry.name, "--force").returncode
            == 0
        )
    assert aliases(place) == {}
    assert not list(place.path.glob("leases/*/*"))


def test_a_lease_ends_after_thirty_days(place: Store) -> None:
    first = published(place)[0]
    assert leave(first.folder, "project-1")
    planned = plan(place, [first])
    with pytest.raises(BundlerError, match="may still be in use"):
        require_unused(place, planned)
    (lease,) = place.path.glob("leases/*/*.json")
    os.utime(lease, (time.time() - 31 * DAY,) * 2)
    require_unused(place, planned)


def test_pruning_keeps_the_newest_of_each_bundle_and_what_is_in_use(
    place: Store, bundles: dict[str, Path]
) -> None:
    first, second, other = published(place)
    assert outdated(place, 1, 0) == [first]
    assert outdated(place, 2, 0) == []
    assert outdated(place, 0, 0) == [first, second, other]
    assert outdated(place, 0, DAY) == []
    assert leave(first.folder, "project-1")
    assert outdated(place, 1, 0) == []
    del bundles


def test_pruning_by_age_uses_the_later_of_publishing_and_submitting(place: Store) -> None:
    first = published(place)[0]
    for path in (first.folder / "publication.json", first.folder / "exec_script.py"):
        os.utime(path, (time.time() - 100 * DAY,) * 2)
    assert outdated(place, 0, 50 * DAY) == [published(place)[0]]
    assert leave(first.folder, "project-1")
    (lease,) = place.path.glob("leases/*/*.json")
    os.utime(lease, (time.time() - 40 * DAY,) * 2)
    assert outdated(place, 0, 50 * DAY) == []
    assert len(outdated(place, 0, 30 * DAY)) == 1


@pytest.mark.parametrize("keep_last", [2, 3, 100])
def test_a_bundle_with_fewer_publications_than_are_kept_loses_none(
    place: Store, keep_last: int
) -> None:
    assert outdated(place, keep_last, -DAY) == []


def test_prune_needs_a_condition_and_says_what_it_removed(site: Workplace, place: Store) -> None:
    done = site.run("bundler", "store", "prune", place.path)
    assert done.returncode == 2
    first = published(place)[0]
    done = site.run("bundler", "store", "prune", place.path, "--keep-last", "1")
    assert (done.returncode, done.stdout) == (0, f"{first.name}\n"), done.stderr
    done = site.run(
        "bundler", "store", "prune", place.path, "--keep-last", "1", "--older-than", "soon"
    )
    assert done.returncode == 2
    assert "must be a duration" in done.stderr


@pytest.mark.parametrize("words", [("--older-than", ""), ("--older-than", " "), ("--older-than", "0"),
                                   ("--older-than", "0.0 d"), ("--keep-last", "0"), ("--keep-last", "")])  # fmt: skip
def test_prune_with_an_empty_or_zero_condition_removes_nothing(
    site: Workplace, place: Store, words: tuple[str, str]
) -> None:
    """Such as with an unset variable in a cron job."""
    before = published(place)
    done = site.run("bundler", "store", "prune", place.path, *words)
    assert done.returncode == 2, done.stderr
    assert words[0] in done.stderr
    assert published(place) == before


def test_the_base_of_a_publication_goes_with_it_and_not_without_it(
    place: Store, bundles: dict[str, Path]
) -> None:
    cached = api.publish(bundles["first"], place.path, strategy="cache")
    (base,) = [entry for entry in published(place) if "-base-" in entry.name]
    with pytest.raises(BundlerError, match=f"{base.name} is the base of {cached.name}"):
        plan(place, [base])
    assert outdated(place, 0, 0)[-1].name != base.name
    run(place, cached.name)
    assert not base.folder.exists()
    assert damage_of(place.path) == []


def test_a_damaged_publication_can_be_removed_and_its_wheels_are_known(place: Store) -> None:
    first = published(place)[0]
    (first.folder / "manifest.json").chmod(0o644)
    (first.folder / "manifest.json").write_text("{")
    run(place, published(place)[1].name)
    assert "alpha-1.0-py3-none-any.whl" in wheels(place)  # The damaged one uses it.
    run(place, first.name)
    assert wheels(place) == {"beta-1.0-py3-none-any.whl"}


def test_an_unknown_name_is_explained(site: Workplace, place: Store) -> None:
    first = published(place)[0]
    done = site.run("bundler", "store", "remove", place.path, first.name[:-1])
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {place.path} has no publication {first.name[:-1]}\nhint: did you mean {first.name}?\n"
    )


class Killed(BaseException):
    """A kill at this moment."""


def dying(step: int) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Return a function that lets functions work `step` times altogether, and then kills."""
    count = 0

    def wrapped(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count > step:
                raise Killed
            return function(*arguments, **options)

        return call

    return wrapped


def broken_links(place: Store) -> list[str]:
    links = [
        (page, line.split('href="')[1].split("#")[0])
        for page in place.path.glob("simple/*/index.html")
        for line in page.read_text().splitlines()
        if "<a href" in line
    ]
    return [target for page, target in links if not (page.parent / target).resolve().is_file()]


@pytest.mark.parametrize("step", range(40))
def test_after_a_kill_no_link_is_broken_and_the_next_run_finishes(
    place: Store, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    first = published(place)[0]
    planned = plan(place, [first])
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        die = dying(step)
        for owner, name in (
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
            (os, "link"),
            (shutil, "rmtree"),
        ):
            patched.setattr(owner, name, die(getattr(owner, name)))
        remove(place, planned, report=silent)
    assert broken_links(place) == []
    finish(place, report=silent)
    if first.folder.exists():
        run(place, first.name)
    assert damage_of(place.path) == []
    assert "alpha-1.0-py3-none-any.whl" not in wheels(place)
    assert not (place.path / ".removed").exists()


def test_a_wheel_that_a_publisher_needs_meanwhile_is_put_back(
    place: Store, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(place)[0]
    yank(place, "alpha-1.0-py3-none-any.whl", "broken")
    real = write_pages

    def publishing(*arguments: object) -> object:
        monkeypatch.setattr(discard, "write_pages", real)
        result = real(*arguments)  # type: ignore[arg-type]
        api.publish(bundles["first"], place.path, seen_at="/elsewhere")
        return result

    monkeypatch.setattr(discard, "write_pages", publishing)
    run(place, first.name)
    assert damage_of(place.path) == []
    assert "alpha-1.0-py3-none-any.whl" in links(place)
    assert 'data-yanked="broken"' in (place.path / "simple" / "alpha" / "index.html").read_text()


def test_publishers_and_removers_at_once_end_in_a_whole_store(
    place: Store, bundles: dict[str, Path]
) -> None:
    until = time.monotonic() + 5

    def publishing(number: int) -> None:
        while time.monotonic() < until:
            api.publish(bundles["first"], place.path, seen_at=f"/seen/{number}")

    def removing(_: int) -> None:
        while time.monotonic() < until:
            for entry in published(place):
                if entry.manifest and entry.manifest.name == "solve":
                    with contextlib.suppress(BundlerError):  # Another remover was faster.
                        run(place, entry.name)

    with ThreadPoolExecutor(4) as pool:
        work = [
            pool.submit(function, number)
            for function in (publishing, removing)
            for number in range(2)
        ]
    for future in work:
        future.result()
    finish(place, report=silent)
    api.publish(bundles["second"], place.path)
    assert damage_of(place.path) == []
    assert usage.wheels_in_use(place) <= wheels(place)
