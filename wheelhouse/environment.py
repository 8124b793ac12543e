"""Commands and data files of wheels in an environment that runs from wherever it is unpacked.

uv installs packages for any platform into a folder (`--target`), with commands that name the Python of this machine
and with data files among the packages. Here both get the place that the binary distribution format gives them.
"""

from __future__ import annotations

import configparser
import re
import zipfile
from typing import TYPE_CHECKING

from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# Starts the Python beside it on the file that has a dot before its name and .py behind.
_LAUNCHER = """#!/bin/sh
here=$(dirname "$(realpath "$0")")
exec "$here/python3" "$here/.{name}.py" "$@"
"""
_ENTRY = """import sys
from {module} import {name}
sys.exit({attribute}())
"""
_GROUPS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?")
_DATA = re.compile(r"[^/]+\.data/(scripts|data)/(.+)")
_PURE = re.compile(r"[^/]+\.data/(?:purelib|platlib)/(.+)")
# The interpreter's own.
_TAKEN = re.compile(r"bin/\.?python[^/]*")


def complete(prefix: Path, packages: Path, wheels: Iterable[Path]) -> None:
    """Give the Python in `prefix` the commands and data files of `wheels`, which uv installed into `packages`.

    For POSIX systems; Windows wants a program for each command. Raises `FileFault`.
    """
    wheels = list(wheels)
    members: dict[str, tuple[Path, str]] = {}
    for wheel in wheels:
        with files.explained(wheel), zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                found = _PURE.fullmatch(name)
                members.setdefault(found[1] if found else name, (wheel, name))
    for wheel in wheels:
        with files.explained(wheel), zipfile.ZipFile(wheel) as archive:
            for path, data, executable in _extras(archive):
                if files.safe_path(path) and not _TAKEN.fullmatch(path):  # uv has refused what is not safe
                    _restore(packages / path, members.get(path))
                    _put(prefix / path, data, executable=executable)


def _restore(path: Path, member: tuple[Path, str] | None) -> None:
    """Take away a data file that uv put among the packages, and bring back the package's own that it lies upon."""
    path.unlink(missing_ok=True)
    if member is not None:
        with zipfile.ZipFile(member[0]) as archive:
            path.write_bytes(archive.read(member[1]))


def _put(path: Path, data: bytes, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a link would be followed
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)


def _extras(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes, bool]]:
    """Yield path below the prefix, bytes, and whether it can be run, of what does not belong among the packages."""
    for info in archive.infolist():
        found = _DATA.fullmatch(info.filename)
        if found and not info.is_dir():
            data = archive.read(info)
            if found[1] == "data":
                yield found[2], data, bool(info.external_attr >> 16 & 0o111)
            elif re.match(rb"#!pythonw?\b", data) and "/" not in found[2]:
                yield from _command(found[2], data)
            else:
                yield f"bin/{found[2]}", data, True
        elif re.fullmatch(r"[^/]+\.dist-info/entry_points\.txt", info.filename):
            yield from _entry_points(archive.read(info).decode(errors="replace"))


def _command(name: str, source: bytes) -> Iterator[tuple[str, bytes, bool]]:
    yield f"bin/.{name}.py", source, False
    yield f"bin/{name}", _LAUNCHER.replace("{name}", name).encode(), True


def _entry_points(text: str) -> Iterator[tuple[str, bytes, bool]]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names of commands have a case
    try:
        parser.read_string(text)
    except configparser.Error:
        return  # uv has refused it
    for group in _GROUPS:
        for command, reference in parser.items(group) if parser.has_section(group) else ():
            found = _REFERENCE.fullmatch(reference)
            if found and re.fullmatch(r"[\w.-]+", command):
                entry = _ENTRY.format(module=found[1], name=found[2].partition(".")[0], attribute=found[2])
                yield from _command(command, entry.encode())
