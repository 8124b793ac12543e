from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.stand_ins.wheels import make_wheel
from wheelhouse.environment import install
from wheelhouse.errors import WheelError
from wheelhouse.target import PLATFORMS

LINUX = PLATFORMS["x86_64-manylinux_2_28"]
WINDOWS = {name: PLATFORMS[f"{name}-pc-windows-msvc"] for name in ("x86_64", "aarch64", "i686")}
ENTRY = "tool-1.0.dist-info/entry_points.txt"


def environment(folder: Path, files: dict[str, bytes]) -> tuple[Path, Path]:
    """Return prefix and packages of an environment with one wheel."""
    name, data = make_wheel("tool", files=files)
    (folder / name).write_bytes(data)
    prefix, packages = folder / "python", folder / "python" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python3").symlink_to(sys.executable)
    install(prefix, packages, [folder / name], LINUX)
    return prefix, packages


def for_windows(folder: Path, machine: str, files: dict[str, bytes]) -> Path:
    """Return the prefix of an environment for Windows with one wheel."""
    name, data = make_wheel("tool", files=files)
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    prefix = folder / "python"
    install(prefix, prefix / "Lib" / "site-packages", [folder / name], WINDOWS[machine])
    return prefix


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
        ENTRY: b"[console_scripts]\ntool = tool:Nested.main [extra]\n",
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


def test_data_files_go_below_the_prefix_and_leave_what_the_package_has_itself(
    tmp_path: Path,
) -> None:
    files = {
        "tool/table.txt": b"of the package",
        "tool-1.0.data/data/tool/table.txt": b"of the data",
        "tool-1.0.data/data/share/tool/x.txt": b"x",
        "tool-1.0.data/headers/tool.h": b"h",
        "tool-1.0.data/purelib/tool/more.py": b"m",
    }
    prefix, packages = environment(tmp_path, files)
    assert (packages / "tool" / "table.txt").read_bytes() == b"of the package"
    assert (packages / "tool" / "more.py").read_bytes() == b"m"
    assert (prefix / "tool" / "table.txt").read_bytes() == b"of the data"
    assert (prefix / "share" / "tool" / "x.txt").read_bytes() == b"x"
    assert (prefix / "include" / "site" / "tool" / "tool.h").read_bytes() == b"h"
    assert not (packages / "share" / "tool" / "x.txt").exists()


def test_record_names_every_file_that_was_written_with_its_digest(tmp_path: Path) -> None:
    files = {
        "tool.py": b"def main(): ...\n",
        ENTRY: b"[console_scripts]\ntool = tool:main\n",
        "tool-1.0.data/data/share/x.txt": b"x",
    }
    prefix, packages = environment(tmp_path, files)
    rows = list(csv.reader((packages / "tool-1.0.dist-info" / "RECORD").read_text().splitlines()))
    listed = {
        (packages / path).resolve().relative_to(prefix.resolve()).as_posix() for path, _, _ in rows
    }
    written = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()}
    assert listed == written - {"bin/python3"}
    sizes = {path: int(size) for path, _, size in rows if size}
    assert all((packages / path).stat().st_size == size for path, size in sizes.items())
    assert str(tmp_path) not in (packages / "tool-1.0.dist-info" / "RECORD").read_text()


@pytest.mark.parametrize("name", ["python3", "python", "python3.11", "python3.13t"])
def test_no_command_takes_the_place_of_the_interpreter(tmp_path: Path, name: str) -> None:
    with pytest.raises(WheelError, match="would replace the interpreter"):
        environment(tmp_path, {ENTRY: f"[console_scripts]\n{name} = tool:main\n".encode()})
    assert (tmp_path / "python" / "bin" / "python3").is_symlink()
    assert [path.name for path in (tmp_path / "python" / "bin").iterdir()] == ["python3"]


def test_a_command_whose_name_only_begins_as_that_of_the_interpreter_is_installed(
    tmp_path: Path,
) -> None:
    prefix, _ = environment(
        tmp_path, {"tool-1.0.data/scripts/python-argcomplete-check": b"#!/bin/sh\n"}
    )
    assert (prefix / "bin" / "python-argcomplete-check").stat().st_mode & 0o111


@pytest.mark.parametrize("path", ["bin/python3", "bin/../bin/python3"])
def test_no_data_file_takes_the_place_of_the_interpreter_or_leads_outside(
    tmp_path: Path, path: str
) -> None:
    with pytest.raises(WheelError):
        environment(tmp_path, {f"tool-1.0.data/data/{path}": b"#!/bin/sh\necho other\n"})
    assert (tmp_path / "python" / "bin" / "python3").is_symlink()


def test_a_file_is_not_written_through_a_link_of_the_interpreter(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("whole")
    prefix = tmp_path / "python"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "tool").symlink_to(outside)
    name, data = make_wheel("tool", files={"tool-1.0.data/scripts/tool": b"#!/bin/sh\n"})
    (tmp_path / name).write_bytes(data)
    install(prefix, prefix / "lib", [tmp_path / name], LINUX)
    assert outside.read_text() == "whole"


@pytest.mark.parametrize("machine", WINDOWS)
def test_commands_for_windows_are_programs_that_start_the_python_of_their_tree(
    tmp_path: Path, machine: str
) -> None:
    files = {ENTRY: b"[console_scripts]\ntool = tool:main\n[gui_scripts]\nwindow = tool:main\n"}
    prefix = for_windows(tmp_path / "a", machine, files)
    program = (prefix / "Scripts" / "tool.exe").read_bytes()
    assert program.startswith(b"MZ")
    assert b"#!<launcher_dir>\\..\\python.exe\n" in program
    assert (
        b"#!<launcher_dir>\\..\\pythonw.exe\n" in (prefix / "Scripts" / "window.exe").read_bytes()
    )
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        assert b"from tool import main" in archive.read("__main__.py")
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_the_same_wheels_give_the_same_bytes(tmp_path: Path) -> None:
    files = {"tool.py": b"", ENTRY: b"[console_scripts]\ntool = tool:main\n"}

    def digests(prefix: Path) -> dict[str, str]:
        return {
            path.relative_to(prefix).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in prefix.rglob("*")
            if path.is_file()
        }

    assert digests(for_windows(tmp_path / "a", "x86_64", files)) == digests(
        for_windows(tmp_path / "b", "x86_64", files)
    )


@pytest.mark.parametrize(
    "files",
    [
        {"tool-1.0.data/unknown/x": b""},
        {"other-2.0.dist-info/METADATA": b""},
        {ENTRY: b"[console_scripts]\ntool = no reference\n"},
        {ENTRY: b"[console_scripts\n"},
        {ENTRY: b"\xff"},
    ],
)
def test_a_wheel_that_the_format_does_not_allow_is_refused(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    with pytest.raises(WheelError, match="cannot be installed"):
        environment(tmp_path, files)


def test_a_file_that_is_no_zip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tool-1.0-py3-none-any.whl").write_bytes(b"no zip file")
    with pytest.raises(WheelError, match="cannot be installed"):
        install(
            tmp_path / "python",
            tmp_path / "python",
            [tmp_path / "tool-1.0-py3-none-any.whl"],
            LINUX,
        )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.text(max_size=60)
    | st.sampled_from(["[console_scripts]\n../x = a:b", "[console_scripts]\na = b", "["])
)
def test_whatever_stands_in_entry_points_nothing_leads_outside(tmp_path: Path, text: str) -> None:
    folder = tmp_path / str(abs(hash(text)))
    folder.mkdir(exist_ok=True)
    if not (folder / "python").exists():
        with contextlib.suppress(WheelError):
            environment(folder, {ENTRY: text.encode("utf-8", "replace")})
    assert {path.name for path in folder.iterdir()} == {"python", "tool-1.0-py3-none-any.whl"}
