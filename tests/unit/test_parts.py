"""Archives in parts: named in any order, joined by cat, and every wrong part is named."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.bundles.output import writing
from bundler.bundles.parts import grouped, opened, require_rest
from wheelhouse.errors import ArchiveError

DATA = hashlib.shake_128(b"data").digest(52_500)
SIZE = 20_000


def read(*paths: Path) -> bytes:
    data = b""
    with opened(paths) as source:
        while piece := source.read(1000):
            data += piece
    return data


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    with writing(tmp_path / "eval.tar", SIZE) as (out, written):
        for start in range(0, len(DATA), 7777):
            out.write(DATA[start : start + 7777])
    assert [path.name for path in written] == [
        "eval.tar.001",
        "eval.tar.002",
        "eval.tar.003",
        "eval.tar.parts",
    ]
    return written


def test_parts_are_slices_that_cat_joins_and_sha256sum_checks(parts: list[Path]) -> None:
    assert b"".join(path.read_bytes() for path in parts[:-1]) == DATA
    assert [path.stat().st_size for path in parts[:-1]] == [SIZE, SIZE, 12_500]
    command = ["sha256sum", "--check", "--strict", "--quiet", parts[-1].name]
    subprocess.run(command, cwd=parts[-1].parent, check=True, timeout=60)


def test_any_part_the_list_or_the_name_of_the_archive_leads_to_all_of_it(parts: list[Path]) -> None:
    for paths in (
        parts,
        parts[::-1],
        parts[:1],
        parts[1:2],
        parts[-1:],
        [parts[0].with_name("eval.tar")],
    ):
        assert read(*paths) == DATA


def test_parts_may_be_in_several_folders(parts: list[Path], tmp_path: Path) -> None:
    places = []
    for path in parts:
        disc = tmp_path / f"disc of {path.name}"
        disc.mkdir()
        places.append(path.rename(disc / path.name))
    assert read(*places[::-1]) == DATA


def swapped(paths: list[Path]) -> None:
    first, second = (path.read_bytes() for path in paths[:2])
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)


DAMAGE: dict[str, tuple[Callable[[list[Path]], object], str]] = {
    "missing": (lambda paths: paths[1].unlink(), "missing  eval.tar.002"),
    "changed": (
        lambda paths: paths[1].write_bytes(b"x" * SIZE),
        "eval.tar.002: is damaged, or a part of another",
    ),
    "cut": (
        lambda paths: paths[2].write_bytes(paths[2].read_bytes()[:-1]),
        "eval.tar.003: is damaged",
    ),
    "longer": (
        lambda paths: paths[0].write_bytes(paths[0].read_bytes() + b"x"),
        "eval.tar.001: is damaged",
    ),
    "swapped": (swapped, "eval.tar.001: is damaged, or a part of another"),
    "without a list": (lambda paths: paths[-1].unlink(), "without the list of its parts"),
    "an empty list": (lambda paths: paths[-1].write_bytes(b""), "is not a list of parts"),
    "a list that leads out": (
        lambda paths: paths[-1].write_text(f"{'0' * 64}  ../x.001\n"),
        "is not a list of parts",
    ),
    "a list with a gap": (
        lambda paths: paths[-1].write_text(
            "".join(f"{'0' * 64}  eval.tar.{n:03}\n" for n in (1, 3))
        ),
        "is not a list of parts",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_wrong_parts_are_named(parts: list[Path], kind: str) -> None:
    damage, text = DAMAGE[kind]
    damage(parts)
    with pytest.raises(ArchiveError, match=text):
        read(parts[0])


def test_foreign_and_missing_parts_are_named_together(parts: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.tar.001"
    other.write_bytes(b"x")
    parts[2].unlink()
    with pytest.raises(ArchiveError) as error:
        read(parts[0], other)
    assert error.value.facts == ["missing  eval.tar.003", f"foreign  {other}"]


def test_a_single_file_wins_over_the_list_of_an_earlier_archive(
    parts: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "eval.tar").write_bytes(b"newer")
    assert read(tmp_path / "eval.tar") == b"newer"
    assert read(parts[0]) == DATA


def test_parts_may_be_links(parts: list[Path], tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for path in parts:
        (links / path.name).symlink_to(path)
    assert read(links / "eval.tar.002") == DATA


def test_damage_that_nothing_reads_is_noticed_at_the_end(parts: list[Path]) -> None:
    parts[2].write_bytes(b"x")
    with (
        opened(parts[:1]) as source,
        pytest.raises(ArchiveError, match=r"eval\.tar\.003: is damaged"),
    ):
        require_rest(source)
    with opened([parts[0]]) as source:
        require_rest(io.BytesIO(DATA))
        assert source.read(10) == DATA[:10]


def test_parts_and_lists_of_one_archive_belong_together(parts: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    other.touch()
    assert grouped([parts[2], other, parts[0], other]) == [[parts[2], parts[0]], [other], [other]]
    assert grouped([tmp_path, tmp_path / "x.001"]) == [[tmp_path], [tmp_path / "x.001"]]


@pytest.mark.parametrize("name", [".", "folder"])
def test_a_folder_among_parts_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.tar.001").touch()
    with (
        pytest.raises(ArchiveError, match="is a folder, not a part of an archive"),
        opened([Path(name), Path("x.tar.001")]),
    ):
        pass
