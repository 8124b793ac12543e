"""Folders and zip files of wheels from elsewhere."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Workplace
from tests.integration.test_publication import damage_of
from tests.stand_ins.wheels import make_sdist, make_wheel
from wheelhouse.files import sha256


@pytest.fixture
def wheelhouse(workplace: Workplace) -> Path:
    """A folder as pip and uv leave it, with folders in it."""
    folder = workplace.folder / "my wheels"
    (folder / "more").mkdir(parents=True)
    for place, (name, data) in (
        (folder, make_wheel("gamma")),
        (folder / "more", make_wheel("delta", "2.0")),
    ):
        (place / name).write_bytes(data)
    return folder


def test_a_folder_of_wheels_is_added_to_the_index_and_listed(
    site: Workplace, share: Path, wheelhouse: Path
) -> None:
    done = site.run("publish-index", share, wheelhouse, "--note", "from the vendor")
    assert done.returncode == 0, done.stderr
    publication = Path(done.stdout.strip())
    assert publication.name.startswith("my-wheels-")
    assert damage_of(share) == []
    assert "gamma-1.0" in (share / "simple" / "gamma" / "index.html").read_text()
    record = json.loads(
        (share / "records" / "gamma" / "gamma-1.0-py3-none-any.whl.json").read_bytes()
    )
    assert record["origin"] == "my-wheels"
    rows = json.loads(site.run("bundler", "store", "list", share, "--json").stdout)["publications"]
    assert (rows[-1]["name"], rows[-1]["bundle"], rows[-1]["targets"]) == (
        publication.name,
        "my-wheels",
        [],
    )
    again = site.run("publish-index", share, wheelhouse)
    assert (again.stdout, again.returncode) == (done.stdout, 0)
    assert "is already published" in again.stderr
    assert site.run("bundler", "store", "remove", share, publication.name).returncode == 0
    assert "gamma" not in (share / "simple" / "index.html").read_text()
    assert damage_of(share) == []


def test_a_zip_file_of_wheels_is_the_same(site: Workplace, share: Path, wheelhouse: Path) -> None:
    with zipfile.ZipFile(site.folder / "my wheels.zip", "w") as archive:
        for path in wheelhouse.rglob("*.whl"):
            archive.write(path, f"vendor/{path.name}")
        archive.writestr("vendor/README", "read me")
    done = site.run("publish-index", share, "my wheels.zip")
    assert done.returncode == 0, done.stderr
    assert site.run("publish-index", share, wheelhouse).stdout == done.stdout
    assert list((share / ".partial").iterdir()) == []


@pytest.mark.parametrize(
    "names", [("../../evil-1.0-py3-none-any.whl",), ("a/x-1.whl",), ("a/b.whl", "c/b.whl")]
)
def test_a_hostile_zip_file_writes_nothing(
    site: Workplace, share: Path, names: tuple[str, ...]
) -> None:
    before = {path for path in site.folder.parent.rglob("*") if "home" not in path.parts}
    with zipfile.ZipFile(site.folder / "x.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"hostile")
    done = site.run("publish-index", share, "x.zip")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    after = {path for path in site.folder.parent.rglob("*") if "home" not in path.parts}
    assert after - before == {site.folder / "x.zip"}


def test_all_invalid_wheels_are_named_at_once_and_nothing_is_added(
    site: Workplace, share: Path, wheelhouse: Path
) -> None:
    (wheelhouse / "bad-1.0-py3-none-any.whl").write_bytes(b"junk")
    (wheelhouse / "worse.whl").write_bytes(b"junk")
    done = site.run("publish-index", share, wheelhouse)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: 2 files are not valid wheels\n" in done.stderr
    assert "bad-1.0-py3-none-any.whl: cannot be read" in done.stderr
    assert "worse.whl: " in done.stderr
    (wheelhouse / "more" / "gamma-1.0-py3-none-any.whl").write_bytes(
        make_wheel("gamma", files={"x": b""})[1]
    )
    done = site.run("publish-index", share, wheelhouse)
    assert (done.returncode, done.stdout) == (1, "")
    assert "have the same name" in done.stderr
    assert "gamma" not in (share / "simple" / "index.html").read_text()
    assert list((share / ".partial").iterdir()) == []


def test_source_distributions_are_left_out_with_a_warning(
    site: Workplace, share: Path, wheelhouse: Path
) -> None:
    name, data = make_sdist("epsilon")
    (wheelhouse / name).write_bytes(data)
    done = site.run("publish-index", share, wheelhouse)
    assert done.returncode == 0, done.stderr
    assert f"warning: 1 source distribution left out, such as {name}\n" in done.stderr


def test_a_name_with_other_bytes_is_refused_with_digests_origins_and_dates(
    site: Workplace, share: Path, wheelhouse: Path
) -> None:
    mine = wheelhouse / "alpha-1.0-py3-none-any.whl"
    mine.write_bytes(make_wheel("alpha", files={"alpha.py": b"other = 1\n"})[1])
    done = site.run("publish-index", share, wheelhouse)
    assert (done.returncode, done.stdout) == (1, "")
    record = json.loads((share / "records" / "alpha" / f"{mine.name}.json").read_bytes())
    day = record["uploaded"][:10]
    assert (
        f"in the store: sha256 {record['sha256'][:16]}... from solve.bundle on {day}\n"
        in done.stderr
    )
    assert f"new:          sha256 {sha256(mine)[:16]}... from my-wheels on {day}\n" in done.stderr
    assert damage_of(share) == []


def test_jobs_need_a_script(site: Workplace, share: Path, wheelhouse: Path) -> None:
    publication = site.run("publish-index", share, wheelhouse).stdout.strip()
    done = site.run("submit-jobs", publication, "--dry-run")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {publication} contains wheels and no script\nhint: name the publication of a bundle\n"
    )
    assert site.run("bundler", "inspect", publication).stdout.startswith("my-wheels: 2 wheels (")
    assert site.run("publish-index", "other", publication).returncode == 1
    assert site.run("publish-index", share, wheelhouse, "--as", "mine").returncode == 2
