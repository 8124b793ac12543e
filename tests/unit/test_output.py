"""The file of an archive: complete at the end, or everything as before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bundler.bundles.output import SMALLEST, writing
from bundler.bundles.parts import opened
from bundler.errors import BundlerError
from wheelhouse.errors import FileError

DATA = hashlib.shake_128(b"data").digest(52_500)
SIZE = 20_000


def write(path: Path, data: bytes, size: int | None = None) -> list[Path]:
    with writing(path, size) as (out, written):
        out.write(data)
    return written


def read(path: Path) -> bytes:
    with opened([path]) as source:
        return b"".join(iter(lambda: source.read(1000), b""))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writing_again_leaves_nothing_of_an_earlier_archive_and_nothing_else_is_touched(
    tmp_path: Path,
) -> None:
    others = ["eval.2024", "eval.tar.999", "eval.tar.old", "eval.001"]
    for name in others:
        (tmp_path / name).touch()
    path = tmp_path / "eval.tar"
    for size, expected in (
        (SIZE, ["eval.tar.001", "eval.tar.002", "eval.tar.003", "eval.tar.parts"]),
        (2 * SIZE, ["eval.tar.001", "eval.tar.002", "eval.tar.parts"]),
        (None, ["eval.tar"]),
        (3 * SIZE, ["eval.tar.001", "eval.tar.parts"]),
    ):
        assert sorted(path.name for path in write(path, DATA, size)) == expected
        assert names(tmp_path) == sorted([*others, *expected])
        assert read(path) == DATA


@pytest.mark.parametrize("size", [None, SIZE])
@pytest.mark.parametrize("before", [None, SIZE, SMALLEST])
def test_a_failure_leaves_the_earlier_archive_and_nothing_else(
    tmp_path: Path, size: int | None, before: int | None
) -> None:
    written = write(tmp_path / "eval.tar", DATA, before)
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "eval.tar", size) as (out, _):
        out.write(DATA)
        raise ZeroDivisionError
    assert names(tmp_path) == sorted(path.name for path in written)
    assert read(tmp_path / "eval.tar") == DATA


@pytest.mark.parametrize("name", ["eval.tar.002", "eval.tar.parts", "eval.tar"])
def test_a_folder_in_the_way_leaves_the_earlier_archive(tmp_path: Path, name: str) -> None:
    if name != "eval.tar.002":
        (tmp_path / name).mkdir()
    else:
        write(tmp_path / "eval.tar", DATA[:SIZE], SIZE)
        (tmp_path / name).mkdir()
    before = names(tmp_path)
    with pytest.raises(BundlerError, match=f"{name} is not a regular file"):
        write(tmp_path / "eval.tar", DATA, SIZE)
    assert names(tmp_path) == before


def test_a_rename_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "eval.tar", DATA, SIZE)
    before = names(tmp_path)
    rename, count = Path.rename, [0]

    def interrupted(path: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == 6:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "eval.tar", b"x" * 70_000, SIZE)
    assert names(tmp_path) == before
    assert read(tmp_path / "eval.tar") == DATA


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("eval.001", None, "its name is that of a part"),
        ("eval.parts", None, "its name is that of a part"),
        ("eval.tar", 0, "parts must have at least 10.0 kB"),
        ("a\nb", SIZE, "cannot be in a list of parts"),
        ("a\udcff", SIZE, "cannot be in a list of parts"),
    ],
)
def test_names_and_sizes_that_could_not_be_read_again_are_refused(
    tmp_path: Path, name: str, size: int | None, reason: str
) -> None:
    with pytest.raises(BundlerError, match=reason):
        write(tmp_path / name, DATA, size)
    assert names(tmp_path) == []


def test_more_parts_than_names_in_order_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(BundlerError, match="would have more than 999 parts"),
        writing(tmp_path / "x", SMALLEST) as (out, _),
    ):
        for _ in range(1001):
            out.write(b"0" * SMALLEST)
    assert names(tmp_path) == []


def test_a_folder_is_not_replaced_and_missing_folders_are_created(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        write(tmp_path, b"1")
    write(tmp_path / "new" / "x", b"1")
    assert (tmp_path / "new" / "x").read_bytes() == b"1"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(1, len(DATA)),
    size=st.integers(SMALLEST, 60_000),
    step=st.integers(100, 60_000),
)
def test_every_division_is_joined_again(tmp_path: Path, length: int, size: int, step: int) -> None:
    with writing(tmp_path / "x", size) as (out, written):
        for start in range(0, length, step):
            out.write(DATA[:length][start : start + step])
    assert read(written[-1]) == DATA[:length]
    assert len(written) == -(-length // size) + 1
    assert len(list(tmp_path.iterdir())) == len(written)
