from __future__ import annotations

import email
import zipfile
from importlib.metadata import version
from pathlib import Path

from installer.sources import WheelFile

from bundler.own_wheel import write_wheel
from wheelhouse.wheel import parse_filename


def test_the_wheel_is_valid_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    path = write_wheel(tmp_path / "a")
    assert path.read_bytes() == write_wheel(tmp_path / "b").read_bytes()
    assert parse_filename(path.name)[0] == "hps-bundler"
    with WheelFile.open(path) as wheel:
        wheel.validate_record()
        metadata = email.message_from_string(wheel.read_dist_info("METADATA"))
        assert "publish-index = bundler.cli:main_publish_index" in wheel.read_dist_info(
            "entry_points.txt"
        )
    assert (metadata["Name"], metadata["Version"]) == ("hps-bundler", version("hps-bundler"))
    assert "hps" in metadata.get_all("Provides-Extra", [])
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {
        "bundler/templates/carried.sh",
        "wheelhouse/store/store.py",
        "bundler/guides/jobs.md",
    } <= set(names)
    assert not [name for name in names if "__pycache__" in name]
