from __future__ import annotations

from pathlib import Path

from bundler.publications.history import events
from tests.conftest import Workplace
from tests.integration.test_publication import damage_of
from tests.stand_ins.wheels import make_wheel
from wheelhouse.files import sha256
from wheelhouse.store.store import open_store

NAME = "alpha-1.0-py3-none-any.whl"


def test_the_owner_decides_which_file_is_genuine_on_record(
    site: Workplace, share: Path, bundles: dict[str, Path]
) -> None:
    (site.folder / "vendor").mkdir()
    genuine = site.folder / "vendor" / NAME
    genuine.write_bytes(make_wheel("alpha", files={"alpha.py": b"other = 1\n"})[1])
    refused = site.run("publish-index", share, "vendor")
    assert refused.returncode == 1
    assert "hint: if the new one is, run `bundler store resolve`" in refused.stderr
    done = site.run("bundler", "store", "resolve", share, genuine, "--note", "rebuilt")
    assert done.returncode == 0, done.stderr
    assert sha256(genuine) in (share / "simple" / "alpha" / "index.html").read_text()
    assert site.run("publish-index", share, "vendor").returncode == 0
    assert damage_of(share) == []
    event = next(event for event in events(open_store(share))[0] if event.action == "resolve")
    assert (event.subject, event.sha256, event.note) == (NAME, sha256(genuine), "rebuilt")
    old = next((bundles["first"] / "wheels").glob(NAME))
    assert event.detail == f"instead of {sha256(old)}"
    assert site.run("publish-index", share, bundles["first"]).returncode == 1


def test_a_decision_needs_two_different_files(
    site: Workplace, share: Path, bundles: dict[str, Path]
) -> None:
    name, data = make_wheel("gamma")
    (site.folder / name).write_bytes(data)
    for path, fact in (
        (site.folder / name, "has no file of this name"),
        (bundles["first"] / "wheels" / NAME, "has this file already"),
    ):
        done = site.run("bundler", "store", "resolve", share, path)
        assert done.returncode == 1
        assert f"error: {path.name}: {share} {fact}\n" in done.stderr
