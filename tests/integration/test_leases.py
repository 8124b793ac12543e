from __future__ import annotations

import shutil
from pathlib import Path

from bundler.publications.leases import leases, leave
from bundler.publications.usage import published
from wheelhouse.store.store import open_store


def test_leases_are_read_in_the_order_of_their_times(share: Path) -> None:
    place = open_store(share)
    first = published(place)[0]
    assert leases(place, first.name) == []
    for project in ("one", "two"):
        assert leave(first.folder, project)
    assert [lease.project for lease in leases(place, first.name)] == ["one", "two"]


def test_a_publication_that_was_copied_elsewhere_gets_no_lease(share: Path, tmp_path: Path) -> None:
    first = published(open_store(share))[0]
    shutil.copytree(first.folder, tmp_path / "copy" / "publications" / first.name)
    assert not leave(tmp_path / "copy" / "publications" / first.name, "project")
    assert not (tmp_path / "copy" / "leases").exists()


def test_a_damaged_lease_still_counts(share: Path) -> None:
    place = open_store(share)
    first = published(place)[0]
    assert leave(first.folder, "project")
    (path,) = share.glob("leases/*/*.json")
    path.write_text("{")
    assert [lease.project for lease in leases(place, first.name)] == ["unknown"]
