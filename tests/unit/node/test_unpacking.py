from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from bundler.node import unpacking
from bundler.node.errors import OfflineRunError


def test_what_was_half_unpacked_by_a_killed_job_is_removed_after_a_day(tmp_path: Path) -> None:
    for name, age in ((".unpacking-old", 25 * 3600), (".unpacking-new", 0), ("kept", 25 * 3600)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    unpacking.clear_abandoned(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unpacking-new", "kept"]


def test_an_archive_is_unpacked_once_and_only_with_its_digest(tmp_path: Path) -> None:
    data = packed(("python/bin/python3", b"elf"))
    (tmp_path / "p.tar.gz").write_bytes(data)
    known = hashlib.sha256(data).hexdigest()
    kept = tmp_path / "kept"
    place = Path(unpacking.unpacked(str(tmp_path), ["p.tar.gz", known], str(kept)))
    assert (place / "python" / "bin" / "python3").read_bytes() == b"elf"
    (tmp_path / "p.tar.gz").unlink()
    assert unpacking.unpacked(str(tmp_path), ["p.tar.gz", known], str(kept)) == str(place)
    (tmp_path / "p.tar.gz").write_bytes(data[:-1])
    with pytest.raises(OfflineRunError, match="was changed after it was published"):
        unpacking.unpacked(str(tmp_path), ["p.tar.gz", "0" * 64], str(kept))
    assert [path.name for path in kept.iterdir() if path.suffix != ".turn"] == [place.name]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.tar.gz", b"no archive"),
        ("p.tar.gz", b"\x1f\x8b\x08" + bytes(30)),
        ("uv-1.0-py3-none-any.whl", b"no wheel"),
        ("uv-1.0-py3-none-any.whl", b"PK\x05\x06" + bytes(18)),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_told_by_name(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(
        OfflineRunError, match=f"{name} cannot be unpacked, although it matches its digest"
    ):
        unpacking.unpacked(
            str(tmp_path), [name, hashlib.sha256(data).hexdigest()], str(tmp_path / "kept")
        )


def test_an_archive_that_holds_more_than_any_should_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "LARGEST_ARCHIVE", 1000)
    data = packed(("zeros", bytes(1001)))
    (tmp_path / "p.tar.gz").write_bytes(data)
    with pytest.raises(OfflineRunError, match="it contains more than"):
        unpacking.unpacked(
            str(tmp_path), ["p.tar.gz", hashlib.sha256(data).hexdigest()], str(tmp_path / "kept")
        )


def packed(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()
