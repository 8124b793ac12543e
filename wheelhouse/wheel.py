"""A wheel: its file name, where it comes from, and its digest."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.metadata import RawMetadata, parse_email
from packaging.utils import (
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import Version

from wheelhouse import files
from wheelhouse.errors import WheelError
from wheelhouse.members import DAMAGED, read_member

# The characters of a wheel's file name (binary distribution format, with the "!" and "+" of versions). The name becomes
# a path and a link, so nothing else is accepted.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
# The prefix of the origin of a wheel that was built from source.
BUILT_FROM = "built from"
# Of one that was built from a folder of this machine.
FROM_FOLDER = f"{BUILT_FROM} the folder"
# Bytes; METADATA is far smaller, and more would be an attack on memory.
_METADATA_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel in a lock: `size` in bytes if the index provides it, `sha256` in hex.

    `origin` describes where it comes from if that is not `url`; `index` is the simple index that lists it, if known.
    """

    filename: str
    url: str
    sha256: str
    size: int | None = None
    origin: str | None = None
    index: str | None = None

    def __post_init__(self) -> None:
        parse_filename(self.filename)
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.filename}: {self.sha256!r} is not a SHA-256 digest")

    @property
    def project(self) -> NormalizedName:
        """The normalized project name."""
        return parse_filename(self.filename)[0]

    @property
    def version(self) -> Version:
        """The version of the project."""
        return parse_filename(self.filename)[1]


def parse_filename(filename: str) -> tuple[NormalizedName, Version]:
    """Return the project and version. Raises `ValueError` if the name is not that of a wheel or not a safe path."""
    if not _SAFE.fullmatch(filename):
        raise ValueError(f"{filename!r} is not the file name of a wheel")
    try:
        project, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise ValueError(str(error)) from error
    return project, version


def url_filename(url: str) -> str:
    """Return the last component of the path of `url`, decoded."""
    return PurePosixPath(unquote(urlsplit(url).path)).name


def parse_metadata(path: Path) -> tuple[bytes, RawMetadata]:
    """Return the METADATA of the wheel at `path`, as bytes and parsed (values unchanged, as old wheels need it).

    Raises `WheelError` if it is invalid or contradicts the file name, `FileError`.
    """
    data = read_metadata(path)
    try:
        expected = parse_filename(path.name)
        raw, _ = parse_email(data)
        project = canonicalize_name(raw.get("name", ""))
        version = Version(raw.get("version", ""))
    except ValueError as error:
        raise WheelError(path, str(error)) from error
    if (project, version) != expected:
        raise WheelError(path, f"contains the METADATA of {project} {version}")
    return data, raw


def read_metadata(path: Path) -> bytes:
    """Return the METADATA of the wheel at `path`. Raises `WheelError` if there is not exactly one, `FileError`."""
    try:
        with (
            files.explained(path),
            files.open_input(path) as source,
            zipfile.ZipFile(source) as archive,
        ):
            names = [name for name in archive.namelist() if _METADATA.fullmatch(name)]
            if len(names) == 1:
                return read_member(archive, archive.getinfo(names[0]), _METADATA_LIMIT)
    except ValueError as error:
        raise WheelError(path, str(error)) from error
    except DAMAGED as error:
        raise WheelError(path, f"cannot be read ({error})") from error
    raise WheelError(path, f"has {len(names)} METADATA files, not one")
