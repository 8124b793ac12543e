from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from bundler import api
from bundler.publications.leases import leave
from bundler.publications.overview import digests, overview
from bundler.publications.usage import published
from tests.conftest import Workplace
from wheelhouse.store.store import open_store


def test_a_list_has_times_users_targets_and_sizes(site: Workplace, share: Path) -> None:
    rows = json.loads(site.run("bundler", "store", "list", share, "--json").stdout)["publications"]
    assert [row["bundle"] for row in rows] == ["solve", "solve", "other"]
    for row in rows:
        folder = Path(row["path"])
        sizes = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        manifest = json.loads((folder / "manifest.json").read_bytes())
        assert row["own"] + row["shared"] == sum(file["size"] for file in manifest["files"])
        assert row["shared"] >= sizes["beta-1.0-py3-none-any.whl"]
        assert row["user"] == folder.owner()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["published"])
        assert (len(row["targets"]), row["last-use"], row["aliases"], row["damaged"]) == (
            1,
            None,
            [],
            False,
        )
    lines = site.run("bundler", "store", "list", share).stdout.splitlines()
    assert lines[0].split() == [
        "publication",
        "published",
        "by",
        "targets",
        "own",
        "size",
        "shared",
        "last",
        "use",
    ]
    assert len(lines) == 4
    assert max(map(len, lines)) <= 100


def test_a_submission_is_the_last_use(share: Path) -> None:
    first = published(open_store(share))[0]
    assert leave(first.folder, "project-1")
    row = overview(open_store(share))[0]
    assert row["last-use"] is not None


def test_a_damaged_publication_is_listed_as_such(share: Path) -> None:
    first = published(open_store(share))[0]
    (first.folder / "manifest.json").unlink()
    assert [row["damaged"] for row in overview(open_store(share))].count(True) == 1


def test_show_has_the_difference_from_the_previous_publication(
    site: Workplace, share: Path
) -> None:
    first, second, other = published(open_store(share))
    details = json.loads(site.run("bundler", "store", "show", share, second.name, "--json").stdout)
    assert (details["previous"], details["changes"]) == (first.name, ["alpha 1.0 -> 2.0"])
    text = site.run("bundler", "store", "show", share, second.folder).stdout
    assert "  alpha 1.0 -> 2.0\n" in text
    assert f"previous     {first.name}\n" in text
    assert (
        json.loads(site.run("bundler", "store", "show", share, other.name, "--json").stdout)[
            "previous"
        ]
        is None
    )


def test_digests_are_the_input_of_a_delta(
    site: Workplace, share: Path, bundles: dict[str, Path]
) -> None:
    lines = site.run("bundler", "store", "list", share, "--digests").stdout
    (site.folder / "store.txt").write_text(lines)
    done = site.run(
        "bundler", "pack", bundles["second"], "--since", "store.txt", "--dry-run", "--json"
    )
    assert json.loads(done.stdout)["files"] == 1  # Its README: publications have their own.
    assert lines.splitlines() == digests(open_store(share))


def test_totals_count_unused_wheels(site: Workplace, share: Path, bundles: dict[str, Path]) -> None:

    totals = json.loads(site.run("bundler", "store", "stats", share, "--json").stdout)
    assert (totals["publications"], totals["projects"], totals["wheels"], totals["unused"]) == (
        3,
        2,
        3,
        0,
    )
    shutil.rmtree(
        published(open_store(share))[0].folder
    )  # By hand, as before there was a command for it.
    totals = json.loads(site.run("bundler", "store", "stats", share, "--json").stdout)
    assert (totals["publications"], totals["wheels"], totals["unused"]) == (2, 3, 1)
    api.publish(bundles["first"], share)


def test_no_name_in_a_store_controls_the_terminal(site: Workplace, share: Path) -> None:
    (share / "publications" / "\x1b[2Jevil").mkdir()
    (share / "records" / "\x1b[2Jevil").mkdir()
    lease = share / "leases" / published(open_store(share))[0].name
    lease.mkdir(parents=True)
    (lease / f"{'0' * 16}.json").write_text(json.dumps({"project": "\x1b[2J"}))
    for command in (("list",), ("verify",), ("remove", "other"), ("prune", "--keep-last", "0")):
        done = site.run("bundler", "store", command[0], share, *command[1:])
        assert "\x1b" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_an_empty_store_has_an_empty_list(site: Workplace, tmp_path: Path) -> None:
    assert site.run("bundler", "store", "init", tmp_path / "empty").returncode == 0
    done = site.run("bundler", "store", "list", tmp_path / "empty")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "",
        f"{tmp_path}/empty has no publications\n",
    )
    done = site.run("bundler", "store", "list", tmp_path / "absent")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/absent: does not exist\nhint: ")
    assert not (tmp_path / "absent").exists()
