"""Deltas: only the new bytes cross, and the far side has the whole bundle, byte for byte."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

import bundler
from bundler.bundles.archive import content_size
from bundler.bundles.delta import base_files, digests_of
from bundler.bundles.unpacking import unpack
from bundler.errors import BundlerError
from bundler.progress import silent
from tests.conftest import Workplace
from tests.stand_ins.wheels import make_wheel
from wheelhouse.errors import ArchiveError

# A wheel that does not shrink, so that sizes are those of the wheels.
BULK = {"bulk.bin": hashlib.shake_128(b"bulk").digest(400_000)}


@pytest.fixture
def months(workplace: Workplace) -> list[Path]:
    """Two bundles of one script: in the second, a small package has a new version."""
    workplace.index.add(make_wheel("alpha", "1.0", files=BULK))
    workplace.index.add(make_wheel("beta", "1.0"))
    workplace.script("eval.py", "alpha", "beta")
    january = workplace.bundle("eval.py", "-o", "january/eval.bundle")
    workplace.index.add(make_wheel("beta", "2.0"))
    february = workplace.bundle("eval.py", "-o", "february/eval.bundle")
    return [january, february]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_form_of_the_old_bundle_leaves_out_the_same_files(
    workplace: Workplace, months: list[Path]
) -> None:
    january, february = months
    publication = workplace.publish(january)
    (january_tar,) = bundler.pack([january], workplace.folder / "january.tar")
    bundler.pack([january], workplace.folder / "january.zst", compress=True)
    bundler.pack([january], workplace.folder / "split.tar", split=100_000)
    digests = workplace.folder / "digests.txt"
    digests.write_text("".join(f"{line}\n" for line in sorted(digests_of(january))))
    olds = [
        january,
        publication,
        workplace.folder / "share",
        january_tar,
        january / "manifest.json",
        digests,
    ]
    olds += [
        january / "SHA256SUMS",
        *(workplace.folder / name for name in ("january.zst", "split.tar")),
    ]
    archives = set()
    for number, old in enumerate(olds):
        (path,) = bundler.pack([february], workplace.folder / f"{number}.tar", since=old)
        archives.add(path.read_bytes())
    assert len(archives) == 1
    (delta,) = archives
    with tarfile.open(fileobj=io.BytesIO(delta)) as tar:
        names = tar.getnames()
    assert names[:3] == [
        f"eval.bundle/{name}" for name in ("manifest.json", "SHA256SUMS", "delta.json")
    ]
    assert [name for name in names if name.endswith(".whl")] == [
        "eval.bundle/wheels/beta-2.0-py3-none-any.whl"
    ]
    size = content_size([february], digests_of(january))
    assert size["bytes"] < 20_000
    assert size["of_bytes"] > 400_000
    with pytest.raises(BundlerError, match="does not exist"):
        digests_of(workplace.folder / "nowhere")


def test_a_delta_and_its_base_are_the_whole_bundle(
    workplace: Workplace, months: list[Path]
) -> None:
    january, february = months
    done = workplace.run("bundler", "pack", february, "-o", "delta.tar", "--since", january)
    assert done.stdout == "delta.tar\n", done.stderr
    workplace.publish(january)
    for number, base in enumerate([january, Path("share"), february]):
        done = workplace.run(
            "bundler", "unpack", "delta.tar", "-o", f"there{number}", "--base", base
        )
        assert done.returncode == 0, done.stderr
        assert files_of(workplace.folder / f"there{number}" / "eval.bundle") == files_of(february)
    for command in ("verify", "inspect"):
        assert workplace.run("bundler", command, "delta.tar", "--base", "share").returncode == 0
    publication = workplace.run("publish-index", "share", "delta.tar").stdout
    assert publication == workplace.run("publish-index", "share", february).stdout
    assert not [
        path
        for path in (workplace.folder / "share" / "publications").iterdir()
        if path.name.startswith(".")
    ]


def test_a_base_that_lacks_files_is_refused_with_their_names(
    workplace: Workplace, months: list[Path]
) -> None:
    january, february = months
    bundler.pack([february], workplace.folder / "delta.tar", since=january)
    done = workplace.run("bundler", "unpack", "delta.tar", "-o", "there")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: delta.tar: is a delta, and it needs a base" in done.stderr
    assert "wheels/alpha-1.0-py3-none-any.whl" in done.stderr
    assert "--base" in done.stderr
    workplace.index.add(make_wheel("gamma"))
    workplace.script("other.py", "gamma")
    other = workplace.bundle("other.py")
    done = workplace.run("bundler", "unpack", "delta.tar", "-o", "there", "--base", other)
    assert "its base lacks" in done.stderr
    done = workplace.run("publish-index", "new-store", "delta.tar")
    assert (done.returncode, done.stdout) == (1, "")
    copy = workplace.folder / "copy"
    shutil.copytree(january, copy)
    wheel = copy / "wheels" / "alpha-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    done = workplace.run("bundler", "unpack", "delta.tar", "-o", "there", "--base", copy)
    assert "was changed, so the delta cannot be completed" in done.stderr
    assert not (workplace.folder / "there").exists()
    assert not (workplace.folder / "new-store").exists()


def test_a_new_script_with_the_same_packages_is_completed_from_a_store_and_a_publication(
    workplace: Workplace, months: list[Path]
) -> None:
    publication = workplace.publish(months[1])
    workplace.script("eval.py", "alpha", "beta", body="print('new')\n")
    march = workplace.bundle("eval.py", "-o", "march/eval.bundle", "--replace")
    for number, base in enumerate([publication, Path("share")]):
        bundler.pack([march], workplace.folder / "march.tar", since=months[1])
        done = workplace.run("bundler", "unpack", "march.tar", "-o", f"m{number}", "--base", base)
        assert done.returncode == 0, done.stderr
        assert files_of(workplace.folder / f"m{number}" / "eval.bundle") == files_of(march)


@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_a_base_is_made_of_regular_files(
    workplace: Workplace, months: list[Path], kind: str
) -> None:
    january, february = months
    bundler.pack([february], workplace.folder / "delta.tar", since=january)
    copy = workplace.folder / "copy"
    shutil.copytree(january, copy)
    wheel = copy / "wheels" / "alpha-1.0-py3-none-any.whl"
    wheel.unlink()
    if kind == "a link":
        wheel.symlink_to("/dev/zero")
    else:
        os.mkfifo(wheel)
    done = workplace.run("bundler", "unpack", "delta.tar", "-o", "there", "--base", copy)
    assert done.returncode == 1
    assert f"error: {wheel}: is not a regular file" in done.stderr
    assert not (workplace.folder / "there").exists()


def test_a_damaged_copy_in_a_store_is_replaced_by_a_good_one(
    workplace: Workplace, months: list[Path]
) -> None:
    january, february = months
    bundler.pack([february], workplace.folder / "delta.tar", since=january)
    for path in ("/seen/one", "/seen/two"):
        publication = bundler.publish(january, workplace.folder / "store", seen_at=path)
    wheel = publication / "wheels" / "alpha-1.0-py3-none-any.whl"
    wheel.unlink()  # Its other hard links are good.
    wheel.write_bytes(b"damaged")
    done = workplace.run("bundler", "unpack", "delta.tar", "-o", "there", "--base", "store")
    assert done.returncode == 0, done.stderr
    assert files_of(workplace.folder / "there" / february.name) == files_of(february)
    for copy in workplace.folder.glob("store/publications/*/wheels/alpha-1.0-py3-none-any.whl"):
        copy.unlink()
        copy.write_bytes(b"damaged")
    done = workplace.run("bundler", "unpack", "delta.tar", "-o", "again", "--base", "store")
    assert done.returncode == 1
    assert "was changed, so the delta cannot be completed" in done.stderr
    assert not (workplace.folder / "again").exists()


MALFORMED = (
    b"",
    b"{}",
    b"[]",
    b'{"left_out": 3}',
    b'{"left_out": ["../x"]}',
    b'{"left_out": [{}]}',
    b"[" * 5000,
)


@pytest.mark.parametrize("delta", [*MALFORMED, b'{"left_out": ["SHA256SUMS"]}'])
def test_a_malformed_list_of_left_out_files_is_refused(
    months: list[Path], tmp_path: Path, delta: bytes
) -> None:
    (path,) = bundler.pack([months[1]], tmp_path / "delta.tar", since=months[0])
    out = io.BytesIO()
    with tarfile.open(path) as source, tarfile.open(fileobj=out, mode="w") as target:
        for member in source:
            content = source.extractfile(member)
            data = content.read() if content else b""
            data = delta if member.name.endswith("delta.json") else data
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    base = base_files(months[0])
    with pytest.raises(ArchiveError, match=r"contains a delta\.json that does not match"):
        unpack(
            io.BytesIO(out.getvalue()),
            Path("x.tar"),
            tmp_path / "there",
            lambda: base,
            report=silent,
        )
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("there")] == []


def test_twelve_monthly_deltas_equal_the_full_bundles(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", "1.0", files=BULK))
    workplace.script("eval.py", "alpha", "beta")
    previous: Path | None = None
    for month in range(1, 13):
        workplace.index.add(make_wheel("beta", f"{month}.0"))
        bundle = workplace.bundle("eval.py", "-o", f"{month}/eval.bundle")
        archive = workplace.folder / f"{month}.tar"
        bundler.pack([bundle], archive, since=previous)
        if previous:
            new = content_size([bundle], digests_of(previous))["bytes"]
            overhead = sum(
                (bundle / name).stat().st_size for name in ("manifest.json", "SHA256SUMS")
            )
            assert archive.stat().st_size < new + overhead + 20_000
        publication = bundler.publish(
            unpacked_with_store(workplace, archive, month), workplace.folder / "share"
        )
        for path, data in files_of(bundle).items():
            if path not in ("SHA256SUMS", "README.txt"):
                assert (publication / path).read_bytes() == data
        previous = archive
    assert len(json.loads((publication / "manifest.json").read_bytes())["files"])


def unpacked_with_store(workplace: Workplace, archive: Path, month: int) -> Path:
    """Unpack a delta with what the store has; the first month has everything."""
    base = workplace.folder / "share" if month > 1 else None
    (bundle,) = bundler.unpack(archive, workplace.folder / f"there{month}", base=base)
    return bundle
