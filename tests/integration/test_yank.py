"""Yanked files, with real pip and real uv as the judges."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bundler.publications.history import events
from tests.conftest import Workplace
from tests.integration.test_publication import damage_of
from wheelhouse.store.store import open_store

OLD, NEW = "alpha-1.0-py3-none-any.whl", "alpha-2.0-py3-none-any.whl"


def installed(site: Workplace, share: Path, requirement: str) -> dict[str, str]:
    """Return the version of alpha that pip and uv install for `requirement`."""
    simple = (share / "simple").as_uri()
    versions = {}
    for name, command in (
        (
            "pip",
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "--index-url",
                simple,
            ],
        ),
        (
            "uv",
            [
                "uv",
                "pip",
                "install",
                "--python",
                sys.executable,
                "--offline",
                "--default-index",
                simple,
            ],
        ),
    ):
        target = site.folder / f"{name}-{len(list(site.folder.iterdir()))}"
        done = site.run(*command, "--target", target, requirement)
        assert done.returncode == 0, done.stderr
        (versions[name],) = [path.name.split("-")[1] for path in target.glob("alpha-*.dist-info")]
    return versions


def test_installers_ignore_a_yanked_file_unless_it_is_asked_for(
    site: Workplace, share: Path
) -> None:
    assert installed(site, share, "alpha") == {"pip": "2.0.dist", "uv": "2.0.dist"}
    done = site.run("bundler", "store", "yank", share, NEW, "--reason", 'wrong <results> & "more"')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"Yanked {NEW}\n")
    assert installed(site, share, "alpha") == {"pip": "1.0.dist", "uv": "1.0.dist"}
    assert installed(site, share, "alpha==2.0") == {"pip": "2.0.dist", "uv": "2.0.dist"}
    assert damage_of(share) == []
    done = site.run("bundler", "store", "unyank", share, NEW, "--note", "they were right")
    assert done.returncode == 0, done.stderr
    assert installed(site, share, "alpha") == {"pip": "2.0.dist", "uv": "2.0.dist"}
    assert [
        (event.action, event.subject, event.note) for event in events(open_store(share))[0][-2:]
    ] == [
        ("yank", NEW, 'wrong <results> & "more"'),
        ("unyank", NEW, "they were right"),
    ]


def test_a_yanked_file_stays_yanked_when_its_bundle_is_published_again(
    site: Workplace, share: Path, bundles: dict[str, Path]
) -> None:
    assert site.run("bundler", "store", "yank", share, OLD, "--reason", "old").returncode == 0
    assert site.run("publish-index", share, bundles["first"]).returncode == 0
    assert 'data-yanked="old"' in (share / "simple" / "alpha" / "index.html").read_text()


@pytest.mark.parametrize("content", ["", "{", '{"reason": 5}', '{"reason": "\\u001b"}'])
def test_a_damaged_reason_keeps_the_file_yanked(site: Workplace, share: Path, content: str) -> None:
    assert site.run("bundler", "store", "yank", share, OLD, "--reason", "old").returncode == 0
    (share / "records" / "alpha" / f"{OLD}.yanked").write_text(content)
    assert site.run("bundler", "store", "verify", share, "--repair").returncode == 0
    assert 'data-yanked=""' in (share / "simple" / "alpha" / "index.html").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alpha-3.0-py3-none-any.whl", "has no file alpha-3.0-py3-none-any.whl"),
        ("../../store.json", "is not the file name of a wheel"),
        ("alpha", "is not the file name of a wheel"),
    ],
)
def test_a_file_that_is_not_there_is_explained(
    site: Workplace, share: Path, name: str, message: str
) -> None:
    done = site.run("bundler", "store", "yank", share, name, "--reason", "old")
    assert done.returncode == 1
    assert message in done.stderr
