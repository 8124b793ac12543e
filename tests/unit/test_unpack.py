from __future__ import annotations

import gzip
import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from wheelhouse import unpack as unpacking
from wheelhouse.errors import ArchiveError
from wheelhouse.unpack import require_interpreter, unpack

_LIMIT = 10_000
_PYTHON = [
    ("python", tarfile.DIRTYPE, ""),
    ("python/bin", tarfile.DIRTYPE, ""),
    ("python/bin/python3.11", tarfile.REGTYPE, "elf"),
    ("python/bin/python3", tarfile.SYMTYPE, "python3.11"),
]


@pytest.fixture(params=["filtered", "by hand"])
def _filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by hand":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        warnings.filterwarnings("ignore", "Python 3.14 will", DeprecationWarning)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python has no filters")


def archive(path: Path, *members: tuple[str, bytes, str], mode: str = "w:gz") -> Path:
    """Write an archive of members by name, type, and what they hold or lead to; return its path."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # the mode is a variable
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = (
                kind,
                text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else "",
            )
            member.mode = 0o755
            member.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.mark.usefixtures("_filters")
def test_an_interpreter_is_unpacked_with_its_links(tmp_path: Path, folder: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", *_PYTHON)
    require_interpreter(path, windows=False)
    unpack(path, folder, limit=_LIMIT)
    assert (folder / "python" / "bin" / "python3").read_text() == "elf"


@pytest.mark.usefixtures("_filters")
@pytest.mark.parametrize(
    "member",
    [
        ("../out", tarfile.REGTYPE, "x"),
        ("python/../../out", tarfile.REGTYPE, "x"),
        ("out", tarfile.SYMTYPE, "../out"),
        ("out", tarfile.SYMTYPE, "/etc/passwd"),
        ("out", tarfile.LNKTYPE, "../out"),
        ("out", tarfile.FIFOTYPE, ""),
    ],
)
def test_an_archive_that_leads_out_of_itself_is_refused(
    tmp_path: Path, folder: Path, member: tuple[str, bytes, str]
) -> None:
    path = archive(tmp_path / "a.tar.gz", member)
    with pytest.raises(ArchiveError):
        unpack(path, folder, limit=_LIMIT)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tar.gz", "folder"]
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_a_zip_that_leads_out_of_itself_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(name, "x")
    with pytest.raises(ArchiveError, match="points outside"):
        unpack(tmp_path / "a.zip", folder, limit=_LIMIT)
    assert not list(folder.iterdir())


def test_an_archive_that_holds_more_than_it_should_is_refused_before_it_is_unpacked(
    tmp_path: Path, folder: Path
) -> None:
    bomb = archive(tmp_path / "a.tar.gz", ("zeros", tarfile.REGTYPE, "0" * (_LIMIT + 1)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", "0" * (_LIMIT + 1))
    for path in (bomb, tmp_path / "a.zip"):
        with pytest.raises(ArchiveError, match="contains more than"):
            unpack(path, folder, limit=_LIMIT)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_archive_that_is_damaged_is_told(tmp_path: Path, folder: Path, suffix: str) -> None:
    whole = (
        gzip.compress(bytes(2000))
        if suffix == ".zip"
        else archive(tmp_path / "whole", *_PYTHON).read_bytes()
    )
    path = tmp_path / f"a{suffix}"
    for data in (b"", b"garbage", whole[:-20], whole[:30]):
        path.write_bytes(data)
        with pytest.raises(ArchiveError, match="is damaged"):
            unpack(path, folder, limit=_LIMIT)


@pytest.mark.parametrize(
    ("members", "fact"),
    [
        (_PYTHON[:3], "does not contain python/bin/python3"),
        (
            [(f"./{name}", kind, text) for name, kind, text in _PYTHON[1:3]],
            "does not contain python/bin/python3",
        ),
        ([*_PYTHON, _PYTHON[2]], "contains python/bin/python3.11 twice"),
        ([*_PYTHON, ("big", tarfile.REGTYPE, "0" * _LIMIT)], "contains more than"),
    ],
)
def test_an_interpreter_that_nodes_could_not_use_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members: list[tuple[str, bytes, str]],
    fact: str,
) -> None:
    monkeypatch.setattr(unpacking, "LARGEST_INTERPRETER", _LIMIT)
    with pytest.raises(ArchiveError, match=fact):
        require_interpreter(archive(tmp_path / "a.tar.gz", *members), windows=False)


def test_an_interpreter_for_windows_lies_elsewhere(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", ("python/python.exe", tarfile.REGTYPE, "MZ"))
    require_interpreter(path, windows=True)
    with pytest.raises(
        ArchiveError, match="does not contain python/bin/python3\nhint: use an archive"
    ):
        require_interpreter(path, windows=False)
