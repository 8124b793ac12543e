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

# A script for sh and Python at once: sh starts the Python beside it, to which these lines are a string.
_BESIDE = b"""#!/bin/sh
'''exec' "$(dirname "$(realpath "$0")")/python3" "$0" "$@"
' '''
"""
_ENTRY = """import sys
from {module} import {name}
sys.exit({attribute}())
"""
_GROUPS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?")
_DATA = re.compile(r"[^/]+\.data/(scripts|data)/(.+)")


def complete(prefix: Path, packages: Path, wheels: Iterable[Path]) -> None:
    """Give the Python in `prefix` the commands and data files of `wheels`, which uv installed into `packages`.

    For POSIX systems; Windows wants a program for each command. Raises `FileFault`.
    """
    for wheel in wheels:
        with files.explained(wheel), zipfile.ZipFile(wheel) as archive:
            for path, data in _extras(archive):
                if not files.safe_path(path):
                    continue  # uv has refused it
                (packages / path).unlink(missing_ok=True)  # where uv has put it
                place = prefix / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
                place.chmod(0o755 if path.startswith("bin/") else 0o644)


def _extras(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """Yield path below the prefix and bytes of what does not belong among the packages."""
    for name in archive.namelist():
        found = _DATA.fullmatch(name)
        if found and not name.endswith("/"):
            data = archive.read(name)
            first, _, rest = data.partition(b"\n")
            if found[1] == "data":
                yield found[2], data
            else:
                yield f"bin/{found[2]}", _BESIDE + rest if re.match(rb"#!pythonw?\b", first) else data
        elif re.fullmatch(r"[^/]+\.dist-info/entry_points\.txt", name):
            yield from _entry_points(archive.read(name).decode(errors="replace"))


def _entry_points(text: str) -> Iterator[tuple[str, bytes]]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names of commands have a case
    try:
        parser.read_string(text)
    except configparser.Error:
        return  # uv has refused it
    for group in _GROUPS:
        for command, reference in parser.items(group) if parser.has_section(group) else ():
            found = _REFERENCE.fullmatch(reference)
            if found:
                entry = _ENTRY.format(module=found[1], name=found[2].partition(".")[0], attribute=found[2])
                yield f"bin/{command}", _BESIDE + entry.encode()
