"""Install wheels into a relocatable Python, for any platform.

pypa/installer places files as the binary distribution format specifies, and writes RECORD. Commands differ from its
own in one respect: they start the Python in their own tree, wherever that is.
"""

from __future__ import annotations

import io
import os
import re
import warnings
import zipfile
from collections.abc import Iterable
from configparser import Error as ConfigError
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from installer import install as install_wheel
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import Scheme, construct_record_file

from wheelhouse import files
from wheelhouse.errors import WheelError
from wheelhouse.target import Platform

_SCRIPTS = Scheme("scripts")
# Starts the Python next to it with the file `.NAME.py`. One file is not enough: the shell's part would precede the
# docstring and `__future__` imports of a script.
_STARTER = """#!/bin/sh
here=$(dirname "$(realpath "$0")")
exec "$here/python3" "$here/.{name}.py" "$@"
"""
# The launchers of distlib in installer replace this placeholder by their own folder.
_WINDOWS_PYTHON = r"<launcher_dir>\..\python.exe"
_VIRTUAL_PYTHON = r"<launcher_dir>\python.exe"
_Kind = Literal["posix", "win-amd64", "win-arm64", "win-ia32"]
_LAUNCHERS: dict[str, _Kind] = {
    "AMD64": "win-amd64",
    "ARM64": "win-arm64",
    "x86": "win-ia32",
}
_INTERPRETER = re.compile(r"(bin/|Scripts/|)\.?pythonw?[\d.]*t?(\.exe|\.py)?", re.IGNORECASE)
_OF_PYTHON = re.compile(rb"#!pythonw?\b")
_DEFECTS = (
    InstallerError,
    InvalidRecordEntry,
    zipfile.BadZipFile,
    ConfigError,
    ValueError,
    LookupError,
    AssertionError,
    NotImplementedError,
    EOFError,
    RuntimeError,
)


def install(
    prefix: Path,
    packages: Path,
    wheels: Iterable[Path],
    platform: Platform,
    *,
    is_virtual: bool = False,
) -> None:
    """Install `wheels` into the Python for `platform` in `prefix`, whose site-packages are `packages`.

    On Windows, the Python of a virtual environment (`is_virtual`) is next to its commands. Follows the binary
    distribution format. Raises `WheelError` and `FileError`.
    """
    for wheel in wheels:
        destination = _destination(prefix, packages, wheel, platform, is_virtual=is_virtual)
        try:
            with (
                files.explained(wheel, written=prefix),
                WheelFile.open(wheel) as source,
                warnings.catch_warnings(),
            ):
                warnings.simplefilter(
                    "ignore"
                )  # installer warns about compiled files, which it skips.
                install_wheel(source, destination, {"INSTALLER": b"hps-bundler\n"})
        except _DEFECTS as error:
            raise WheelError(
                wheel, f"cannot be installed ({error or type(error).__name__})"
            ) from error


def _destination(
    prefix: Path, packages: Path, wheel: Path, platform: Platform, *, is_virtual: bool
) -> _Relocatable:
    scripts = "bin"
    include = "include"
    interpreter = "python3"
    kind: _Kind = "posix"
    if platform.system == "Windows":
        scripts = "Scripts"
        include = "Include"
        interpreter = _VIRTUAL_PYTHON if is_virtual else _WINDOWS_PYTHON
        kind = _LAUNCHERS[platform.machine]
    project = wheel.name.partition("-")[0]
    folders = {
        "purelib": packages,
        "platlib": packages,
        "headers": prefix / include / "site" / project,
        "scripts": prefix / scripts,
        "data": prefix,
    }
    return _Relocatable(
        {scheme: str(folder) for scheme, folder in folders.items()},
        interpreter=interpreter,
        script_kind=kind,
        overwrite_existing=True,
    )


@dataclass
class _Relocatable(SchemeDictionaryDestination):
    """A destination below a prefix that will be moved, so that no file may contain the prefix."""

    # Files in addition to the one that installer expects for a command.
    started: list[tuple[Scheme, RecordEntry]] = field(default_factory=list)

    def write_script(
        self,
        name: str,
        module: str,
        attr: str,
        section: Literal["console", "gui"],
    ) -> RecordEntry:
        """Write the command of an entry point."""
        script = Script(name, module, attr, section)
        name, data = script.generate(self.interpreter, self.script_kind)
        if self.script_kind == "posix":
            return self._write_started(name, data)
        return self._write_command(name, _undated(data))

    def write_file(
        self,
        scheme: Scheme,
        path: str | os.PathLike[str],
        stream: BinaryIO,
        is_executable: bool,
    ) -> RecordEntry:
        """Write a file of the wheel; a Python script gets the interpreter of its tree."""
        path = os.fspath(path)
        if scheme != _SCRIPTS or self.script_kind != "posix":
            return super().write_file(scheme, path, stream, is_executable)
        data = stream.read()
        if _OF_PYTHON.match(data) and "/" not in path:
            return self._write_started(path, data)
        return self._write_command(path, data)

    def write_to_fs(
        self, scheme: Scheme, path: str, stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        """Write below the folder of `scheme`. Raises `ValueError` for a file that would replace the interpreter."""
        place = self._path_with_destdir(scheme, path)
        prefix = os.path.abspath(self.scheme_dict["data"])  # noqa: PTH100 - as installer
        if _INTERPRETER.fullmatch(place.relative_to(prefix).as_posix()):
            raise ValueError(f"{path} would replace the interpreter")
        if place.is_symlink() or place.is_file():
            place.unlink()  # Writing would follow a link.
        return super().write_to_fs(scheme, path, stream, is_executable)

    def finalize_installation(
        self,
        scheme: Scheme,
        record_file_path: str,
        records: Iterable[tuple[Scheme, RecordEntry]],
    ) -> None:
        """Write RECORD, with relative paths on any system."""
        own = self.scheme_dict[scheme]

        def prefix(other: Scheme) -> str | None:
            folder = self.scheme_dict[other]
            if folder == own:
                return None
            return Path(os.path.relpath(folder, own)).as_posix() + "/"

        with construct_record_file([*records, *self.started], prefix) as stream:
            self.write_to_fs(scheme, record_file_path, stream, is_executable=False)

    def _write_started(self, name: str, source: bytes) -> RecordEntry:
        hidden = self.write_to_fs(_SCRIPTS, f".{name}.py", io.BytesIO(source), is_executable=False)
        self.started.append((_SCRIPTS, hidden))
        starter = _STARTER.replace("{name}", name)
        return self._write_command(name, starter.encode())

    def _write_command(self, name: str, data: bytes) -> RecordEntry:
        return self.write_to_fs(_SCRIPTS, name, io.BytesIO(data), is_executable=True)


def _undated(launcher: bytes) -> bytes:
    """Return a Windows launcher whose appended zip file has no timestamp."""
    with zipfile.ZipFile(io.BytesIO(launcher)) as archive:
        (info,) = archive.infolist()
        source, start = archive.read(info), info.header_offset
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(info.filename), source)
    return launcher[:start] + out.getvalue()
