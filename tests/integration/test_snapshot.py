"""Snapshots of advisories, as OSV and PyPA publish them."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from bundler.assessment.snapshot import Snapshot, read_snapshot
from bundler.errors import BundlerError
from tests.stand_ins.osv import Record, record

RECORDS = [
    record(
        "PYSEC-1", "alpha", [("introduced", "0"), ("fixed", "2.0")], modified="2026-01-01T00:00:00Z"
    ),
    record("PYSEC-2", "alpha", versions=["3.0"], modified="2026-11-20T12:34:56.789Z"),
    record("PYSEC-3", "beta", versions=["1.0"], withdrawn="2026-01-01T00:00:00Z"),
]


def zipped(path: Path, *records: Record | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, entry in enumerate(records):
            archive.writestr(
                f"{number}.json", entry if isinstance(entry, bytes) else json.dumps(entry)
            )
    return path


def in_folder(path: Path, *records: Record) -> Path:
    for number, entry in enumerate(records):
        place = path / "vulns" / entry["affected"][0]["package"]["name"]
        place.mkdir(parents=True, exist_ok=True)
        name, text = (
            (f"{number}.yaml", yaml.safe_dump(entry))
            if number % 2
            else (f"{number}.json", json.dumps(entry))
        )
        (place / name).write_text(text)
    return path


def require_all(snapshot: Snapshot) -> None:
    assert (snapshot.records, snapshot.day, list(snapshot.malformed)) == (3, "2026-11-20", [])
    assert sorted(entry.identity for entry in snapshot.by_project["alpha"]) == [
        "PYSEC-1",
        "PYSEC-2",
    ]
    assert "beta" not in snapshot.by_project
    assert snapshot.age(date(2026, 11, 27)) == 7


def test_the_zip_file_of_osv_is_read(tmp_path: Path) -> None:
    require_all(read_snapshot(zipped(tmp_path / "all.zip", *RECORDS)))


def test_a_folder_with_records_in_json_and_yaml_is_read(tmp_path: Path) -> None:
    require_all(read_snapshot(in_folder(tmp_path / "advisory-database", *RECORDS)))


def test_times_that_yaml_reads_as_times_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "id: PYSEC-9\nmodified: 2026-03-04T05:06:07Z\npublished: 2026-03-01T00:00:00Z\n"
        "affected:\n- package: {ecosystem: PyPI, name: alpha}\n  versions: ['1.0']\n"
    )
    snapshot = read_snapshot(tmp_path)
    assert snapshot.day == "2026-03-04"
    (advisory,) = snapshot.by_project["alpha"]
    assert advisory.published == "2026-03-01"
    assert advisory.affects(Version("1.0"))


def test_malformed_records_stop_no_others(tmp_path: Path) -> None:
    junk = [b"", b"[]", b"{}", b"[" * 100_000, b'{"id": "X", "modified": "soon"}', b"\xff"]
    snapshot = read_snapshot(zipped(tmp_path / "all.zip", *junk, *RECORDS))
    assert snapshot.records == 3
    assert list(snapshot.malformed) == [f"{number}.json" for number in range(6)]


@pytest.mark.parametrize(
    "kind", ["no file", "no zip file", "no records", "an empty folder", "truncated"]
)
def test_what_is_not_a_snapshot_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "all.zip"
    if kind == "no zip file":
        path.write_bytes(b"junk")
    elif kind == "no records":
        zipped(path, b"{}")
    elif kind == "an empty folder":
        path.mkdir()
    elif kind == "truncated":
        zipped(path, *RECORDS)
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BundlerError, match="\nhint: "):
        read_snapshot(path)


def test_yaml_cannot_create_objects(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "a.yaml").write_text(f"!!python/object/apply:os.mkdir ['{marker}']")
    with pytest.raises(BundlerError, match="contains no OSV record"):
        read_snapshot(tmp_path)
    assert not marker.exists()


def test_a_record_of_the_future_makes_a_snapshot_no_newer(tmp_path: Path) -> None:
    future = record("PYSEC-4", "gamma", versions=["1.0"], modified="2999-01-01T00:00:00Z")
    assert read_snapshot(zipped(tmp_path / "all.zip", *RECORDS, future)).day == "2026-11-20"


def test_hidden_folders_of_a_checkout_are_skipped(tmp_path: Path) -> None:
    in_folder(tmp_path, *RECORDS)
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "ci.yml").write_text("on: push\n")
    require_all(read_snapshot(tmp_path))


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_a_record_that_grows_beyond_its_header_is_refused_without_filling_the_memory(
    tmp_path: Path, kind: int
) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a.json", b" " * (64 << 20))
    size, small = (64 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, small))
    tracemalloc.start()
    with pytest.raises(BundlerError, match="cannot be read"):
        read_snapshot(path)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
