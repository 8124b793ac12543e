from __future__ import annotations

import json
import socket
from pathlib import Path

from bundler import api
from bundler.publications.history import events
from bundler.publications.usage import published
from tests.conftest import Workplace
from wheelhouse.files import sha256
from wheelhouse.store.store import open_store


def test_a_publish_is_logged_with_user_host_digest_and_note(
    share: Path, bundles: dict[str, Path]
) -> None:
    api.publish(bundles["other"], share, seen_at="/elsewhere", note="for the cluster")
    newest = published(open_store(share))[-1]
    event = events(open_store(share))[0][-1]
    assert (event.action, event.subject, event.note) == ("publish", newest.name, "for the cluster")
    assert (event.user, event.host) == (share.owner(), socket.gethostname())
    assert event.sha256 == sha256(newest.folder / "manifest.json")


def test_nothing_is_logged_if_nothing_changes(share: Path, bundles: dict[str, Path]) -> None:
    before = events(open_store(share))[0]
    api.publish(bundles["first"], share)
    assert events(open_store(share))[0] == before


def test_the_log_is_shown_oldest_first(site: Workplace, share: Path) -> None:
    lines = site.run("bundler", "store", "log", share).stdout.splitlines()
    assert [line.split()[2:4] for line in lines] == [
        ["publish", entry.name] for entry in published(open_store(share))
    ]
    document = json.loads(site.run("bundler", "store", "log", share, "--json").stdout)
    assert [event["action"] for event in document["events"]] == ["publish"] * 3


def test_a_malformed_event_is_a_warning_and_hides_no_other(site: Workplace, share: Path) -> None:
    paths = sorted((share / "log").iterdir())
    paths[0].write_text('{"time": "\\u001b[2J"}')
    paths[1].unlink()
    paths[1].symlink_to("/dev/zero")
    (share / "log" / "README").write_text("mine")
    done = site.run("bundler", "store", "log", share)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.count("is not an event of a store") == 2


def test_a_publication_whose_publisher_was_killed_is_logged_by_the_next_one(
    share: Path, bundles: dict[str, Path]
) -> None:
    for path in (share / "log").iterdir():
        path.unlink()
    publication = api.publish(bundles["first"], share)
    api.publish(bundles["first"], share)
    wheels = api.publish_wheels(bundles["other"] / "wheels", share)
    (max((share / "log").iterdir())).unlink()
    api.publish_wheels(bundles["other"] / "wheels", share)
    logged = [(event.action, event.subject) for event in events(open_store(share))[0]]
    assert logged == [("publish", publication.name), ("publish", wheels.name)]
