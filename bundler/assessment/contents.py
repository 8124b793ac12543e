"""What a wheel says about itself: licence, dependencies, native code, and the components it contains (PEP 770)."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName

from bundler.assessment.licence import Licence, licence_of
from wheelhouse import files
from wheelhouse.errors import WheelError
from wheelhouse.members import DAMAGED, read_member
from wheelhouse.wheel import parse_filename, parse_metadata

_SBOM = re.compile(r"[^/]+\.dist-info/sboms/.+\.json")
_NATIVE = re.compile(r".+\.(so(\.[0-9.]+)?|pyd|dll|dylib|exe|a)")
# Bytes and components; more would be an attack on memory.
_SBOM_LIMIT, _PART_LIMIT = 16 << 20, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A component inside a wheel, such as a bundled C library, as an SBOM in the wheel lists it."""

    name: str
    version: str | None = None
    purl: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The contents of a wheel that matter for an assessment; `native` are its files with machine code."""

    filename: str
    licence: Licence
    requires: tuple[Requirement, ...]
    native: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def project(self) -> NormalizedName:
        """The normalized name of the project."""
        return parse_filename(self.filename)[0]

    @property
    def version(self) -> str:
        """The version of the project."""
        return str(parse_filename(self.filename)[1])


def read_contents(path: Path) -> Contents:
    """Return the contents of the wheel at `path`. Raises `WheelError`, `FileError`."""
    _, metadata = parse_metadata(path)
    native: list[str] = []
    parts: list[Part] = []
    try:
        with (
            files.explained(path),
            files.open_plain(path) as source,
            zipfile.ZipFile(source) as archive,
        ):
            for member in archive.infolist():
                if _NATIVE.fullmatch(member.filename):
                    native.append(member.filename)
                if _SBOM.fullmatch(member.filename):
                    parts += _parts(read_member(archive, member, _SBOM_LIMIT))
    except DAMAGED as error:
        raise WheelError(path, f"cannot be read ({error})") from error
    return Contents(
        filename=path.name,
        licence=licence_of(metadata),
        requires=tuple(_requirements(metadata.get("requires_dist", []))),
        native=tuple(sorted(native)),
        parts=tuple(dict.fromkeys(parts[:_PART_LIMIT])),
    )


def _requirements(texts: list[str]) -> Iterator[Requirement]:
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:  # Old wheels have some; installers ignore them, too, or fail.
            continue


def _parts(data: bytes) -> Iterator[Part]:
    """Yield the components in an SBOM: CycloneDX or SPDX in JSON. Malformed ones have none."""
    try:
        document = json.loads(data)
        for entry in [*document.get("components", []), *document.get("packages", [])]:
            references = [
                item
                for item in entry.get("externalRefs", [])
                if item.get("referenceType") == "purl"
            ]
            purl = entry.get("purl")
            if not purl and references:
                purl = references[0].get("referenceLocator")
            name = _plain(entry.get("name"))
            version = entry.get("version") or entry.get("versionInfo")
            if name:
                yield Part(name=name, version=_plain(version), purl=_plain(purl))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return


def _plain(value: Any) -> str | None:
    """Return `value` if it is printable text."""
    if isinstance(value, str) and value and value.isprintable():
        return value
    return None
