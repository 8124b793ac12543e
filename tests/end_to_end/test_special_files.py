"""Pipes, devices and links in the place of files: every command that reads a file refuses them at once."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Workplace
from tests.stand_ins.signers import allow, make_key
from tests.stand_ins.wheels import make_wheel

BUNDLE = "eval.bundle"
# Commands, with the place of the file that is none.
COMMANDS = [
    "bundle {}",
    "bundle eval.py --constraint {}",
    "bundle eval.py --override {}",
    "bundle eval.py --advisories {}",
    "bundle eval.py --sign {}",
    "bundler verify {}",
    f"bundler verify {BUNDLE} --trust {{}}",
    f"bundler verify {BUNDLE} --trust allowed --revoked {{}}",
    "bundler inspect {}",
    "bundler unpack {} -o unpacked",
    f"bundler unpack {BUNDLE} --base {{}} -o unpacked",
    "publish-index store {}",
    f"publish-index store {BUNDLE} --trust {{}}",
    f"bundler audit {BUNDLE} --advisories {{}}",
    f"bundler audit {{}} --advisories {BUNDLE}",
    f"bundler report {BUNDLE} --policy {{}}",
    f"bundler report {BUNDLE} --output {{}}",
    "bundler report {}",
    "bundler rehearse {}",
    f"bundler sign {BUNDLE} --key {{}}",
    f"bundler pack {BUNDLE} --output {{}}",
    f"bundler pack {BUNDLE} --since {{}} --output packed.tar",
    "bundler rebuild --compare {}",
    "bundler sbom {}",
    "bundler pyz --output {}",
    "bundler store list {}",
    "bundler store verify {}",
    "submit-jobs {} --dry-run",
    "submit-jobs publication --dry-run --params {}",
    "submit-jobs publication --dry-run --input {}",
    "bundler check publication --probe {}",
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.fixture
def ready(workplace: Workplace) -> Workplace:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("eval.py", "alpha")
    workplace.bundle("eval.py")
    published = workplace.run("publish-index", "store", BUNDLE)
    (workplace.folder / "publication").symlink_to(published.stdout.strip())
    shutil.copy(allow(make_key(workplace.folder / "key")).allowed, workplace.folder / "allowed")
    return workplace


def refused(workplace: Workplace, *command: str | Path) -> str:
    done = workplace.run(*command)
    assert done.returncode in (1, 2), (command, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, (command, done.stderr)
    assert "rror" in done.stderr, (command, done.stderr)
    return done.stderr


@pytest.mark.parametrize("kind", ["pipe", "zero", "loop"])
def test_what_is_no_file_is_refused_by_every_command_without_waiting(
    ready: Workplace, places: Path, kind: str
) -> None:
    place = Path("/dev/zero") if kind == "zero" else places / kind
    before = place.lstat()
    for command in COMMANDS:
        refused(ready, *[str(place) if word == "{}" else word for word in command.split()])
    assert (place.lstat().st_mode, place.lstat().st_rdev) == (before.st_mode, before.st_rdev)


@pytest.mark.parametrize("kind", ["pipe", "zero", "link"])
@pytest.mark.parametrize(
    "name", ["eval.py", "eval.py.lock", "simple/alpha/index.html", "publication.json"]
)
def test_a_publication_with_something_else_in_the_place_of_a_file_is_refused(
    ready: Workplace, places: Path, kind: str, name: str
) -> None:
    publication = (ready.folder / "publication").resolve()
    (path,) = [
        path for path in publication.rglob(Path(name).name) if path.as_posix().endswith(f"/{name}")
    ]
    path.parent.chmod(0o755)
    if kind == "link":
        shutil.copy(path, ready.folder / "copy")
    path.unlink()
    targets = {"pipe": places / "pipe", "zero": Path("/dev/zero"), "link": ready.folder / "copy"}
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(targets[kind])
    refused(ready, "bundler", "verify", publication)
    refused(ready, "publish-index", "other", publication)
    for command in ("inspect", "check", "rehearse", "audit", "report"):
        more = {"check": ["--probe", "nothing"], "audit": ["--advisories", "nothing"]}.get(
            command, []
        )
        done = ready.run("bundler", command, publication, *more)
        assert "Traceback" not in done.stderr
    done = ready.run("submit-jobs", publication, "--dry-run")
    assert "Traceback" not in done.stderr


def test_headers_that_follow_each_other_without_end_are_a_damaged_archive(ready: Workplace) -> None:
    path = ready.folder / "evil.tar"
    with path.open("wb") as out:
        for _ in range(1500):
            header = tarfile.TarInfo("././@LongLink")
            header.type, header.size = tarfile.GNUTYPE_LONGNAME, 4
            out.write(header.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0"))
    for command in (["unpack"], ["verify"], ["inspect"], ["report"]):
        assert "is damaged" in refused(ready, "bundler", *command, path)
    assert "is damaged" in refused(ready, "publish-index", "store", path)
