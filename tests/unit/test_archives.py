from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bundler.archives import _extract


@pytest.fixture(params=["filtered", "by hand"])
def _filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by hand":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python has no filters")


def archive(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """Return an archive of members by name, type, and what they hold or lead to."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            member.mode = 0o755
            member.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(text.encode()))
    out.seek(0)
    return tarfile.open(fileobj=out)


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
@pytest.mark.usefixtures("_filters")
def test_an_interpreter_is_extracted_with_its_links(tmp_path: Path) -> None:
    members = [("python", tarfile.DIRTYPE, ""), ("python/bin", tarfile.DIRTYPE, "")]
    members += [
        ("python/bin/python3.11", tarfile.REGTYPE, "elf"),
        ("python/bin/python3", tarfile.SYMTYPE, "python3.11"),
    ]
    with archive(*members) as tar:
        _extract(tar, tmp_path)
    assert (tmp_path / "python" / "bin" / "python3").read_text() == "elf"


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
def test_an_archive_that_leads_out_of_itself_is_refused(tmp_path: Path, member: tuple[str, bytes, str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with archive(member) as tar, pytest.raises(tarfile.TarError):
        _extract(tar, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert not list(folder.iterdir())
