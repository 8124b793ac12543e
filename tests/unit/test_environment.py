from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stand_ins.wheels import make_wheel
from wheelhouse.environment import complete


def environment(folder: Path, files: dict[str, bytes]) -> tuple[Path, Path]:
    """Return prefix and packages of an environment with one wheel, as uv would leave it."""
    name, data = make_wheel("tool", files=files)
    (folder / name).write_bytes(data)
    prefix, packages = folder / "python", folder / "python" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python3").symlink_to(sys.executable)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.namelist():
            place = packages / member.partition(".data/data/")[2] if ".data/data/" in member else packages / member
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(member))
    complete(prefix, packages, [folder / name])
    return prefix, packages


def run(prefix: Path, packages: Path, command: str, *arguments: str) -> str:
    done = subprocess.run(
        [prefix / "bin" / command, *arguments],
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_commands_run_with_the_python_beside_them_wherever_that_is(tmp_path: Path) -> None:
    files = {
        "tool.py": b"import sys\nclass Nested:\n    main = staticmethod(lambda: print('ran', sys.argv[1:]))\n",
        "tool-1.0.dist-info/entry_points.txt": b"[console_scripts]\ntool = tool:Nested.main [extra]\n",
        "tool-1.0.data/scripts/old": b"#!python\n'''Says so.'''\nfrom __future__ import annotations\nprint(__doc__)\n",
        "tool-1.0.data/scripts/shell": b"#!/bin/sh\necho shell\n",
    }
    prefix, packages = environment(tmp_path, files)
    moved = tmp_path / "elsewhere"
    prefix.rename(moved)
    packages = moved / packages.relative_to(prefix)
    assert run(moved, packages, "tool", "a b") == "ran ['a b']\n"
    assert run(moved, packages, "old") == "Says so.\n"
    assert run(moved, packages, "shell") == "shell\n"


def test_data_files_go_below_the_prefix_and_leave_what_the_package_has_itself(tmp_path: Path) -> None:
    files = {
        "tool/table.txt": b"of the package",
        "tool-1.0.data/data/tool/table.txt": b"of the data",
        "tool-1.0.data/data/share/tool/x.txt": b"x",
    }
    prefix, packages = environment(tmp_path, files)
    assert (packages / "tool" / "table.txt").read_bytes() == b"of the package"
    assert (prefix / "tool" / "table.txt").read_bytes() == b"of the data"
    assert (prefix / "share" / "tool" / "x.txt").read_bytes() == b"x"
    assert not (packages / "share" / "tool" / "x.txt").exists()


@pytest.mark.parametrize("name", ["python3", "python", "python3.11"])
def test_no_command_takes_the_place_of_the_interpreter(tmp_path: Path, name: str) -> None:
    files = {"tool-1.0.dist-info/entry_points.txt": f"[console_scripts]\n{name} = tool:main\n".encode()}
    prefix, _ = environment(tmp_path, files)
    assert (prefix / "bin" / "python3").is_symlink()
    assert [path.name for path in (prefix / "bin").iterdir()] == ["python3"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(max_size=60) | st.sampled_from(["[console_scripts]\n../x = a:b", "[console_scripts]\na = b", "["]))
def test_whatever_stands_in_entry_points_nothing_leads_outside(tmp_path: Path, text: str) -> None:
    folder = tmp_path / str(abs(hash(text)))
    folder.mkdir(exist_ok=True)
    if not (folder / "python").exists():
        environment(folder, {"tool-1.0.dist-info/entry_points.txt": text.encode("utf-8", "replace")})
    assert {path.name for path in folder.iterdir()} == {"python", "tool-1.0-py3-none-any.whl"}
