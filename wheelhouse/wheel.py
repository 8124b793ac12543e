"""A wheel file: its name, where it comes from, and the bytes it must have."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.metadata import parse_email
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from wheelhouse import files
from wheelhouse.errors import WheelError

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

# What a wheel's file name may consist of (binary distribution format, with the "!" and "+" of versions). It becomes a
# path and a link, so nothing else gets through.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# How the origin of a wheel starts that was built on the connected machine.
BUILT_FROM = "built from"
# No METADATA is near this; more is an attack on memory.
_METADATA_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that a lock names: `size` in bytes where the index tells it, `sha256` in hex.

    `origin` is what people are told of where it comes from, if that is not `url`.
    """

    filename: str
    url: str
    sha256: str
    size: int | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        parse_filename(self.filename)
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.filename}: {self.sha256!r} is no SHA-256")

    @property
    def project(self) -> NormalizedName:
        """The normalized project name."""
        return parse_filename(self.filename)[0]

    @property
    def version(self) -> Version:
        """The version of the project."""
        return parse_filename(self.filename)[1]


def parse_filename(filename: str) -> tuple[NormalizedName, Version]:
    """Return project and version; raise `ValueError` where the name is not a wheel's or not safe as a path."""
    if not _SAFE.fullmatch(filename):
        raise ValueError(f"{filename!r} is no wheel file name")
    try:
        project, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as fault:
        raise ValueError(str(fault)) from fault
    return project, version


def url_filename(url: str) -> str:
    """Return the last part of the path of `url`, decoded."""
    return PurePosixPath(unquote(urlsplit(url).path)).name


def read_metadata(path: Path) -> bytes:
    """Return the METADATA file of the wheel at `path`; raise `WheelError` if it is no wheel or lies about its name."""
    try:
        project, version = parse_filename(path.name)
        data = _member(path)
        raw, _ = parse_email(data)
        told = canonicalize_name(raw.get("name", "")), Version(raw.get("version", ""))
    except (ValueError, InvalidVersion) as fault:
        raise WheelError(path, str(fault)) from fault
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as fault:
        raise WheelError(path, f"is not readable ({fault})") from fault
    if told != (project, version):
        raise WheelError(path, f"its METADATA is of {told[0]} {told[1]}")
    return data


def _member(path: Path) -> bytes:
    with files.explained(path), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        if len(names) != 1:
            raise ValueError(f"has {len(names)} METADATA files, not one")
        if archive.getinfo(names[0]).file_size > _METADATA_LIMIT:
            raise ValueError(f"its METADATA is larger than {_METADATA_LIMIT} bytes")
        return archive.read(names[0])


def requires_python(metadata: bytes) -> str | None:
    """Return Requires-Python as it stands there: old wheels write it in forms that only installers understand."""
    return parse_email(metadata)[0].get("requires_python")
