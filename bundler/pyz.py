"""The far-side tool as one file: this package and its dependencies in a zip file that Python runs (PEP 441)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from bundler.errors import BundlerError
from wheelhouse import atomic

NAME = "hps-bundler"
_OWN = ("bundler", "wheelhouse")
_SHEBANG = b"#!/usr/bin/env python3\n"
# Zip files cannot have an earlier time.
_TIME = (1980, 1, 1, 0, 0, 0)
_NATIVE = (".so", ".pyd", ".dll", ".dylib")
_SKIPPED = (".pyc", ".pth", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def write_pyz(path: Path) -> None:
    """Write the tool to the file `path`. The same versions give the same bytes.

    Raises `BundlerError` if a dependency is not installed, `FileError`.
    """
    start = (files("bundler") / "templates" / "pyz_main.py").read_text(encoding="utf-8")
    contents = dict(sorted(_contents()))
    digest = hashlib.sha256(start.encode())
    for name, data in contents.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    main = start.replace("digest of the contents", digest.hexdigest()[:32]).encode()
    with atomic.creating(path) as partial:
        partial.write_bytes(
            _SHEBANG + zipped({"__main__.py": main, "contents.zip": zipped(contents)})
        )
        partial.chmod(0o755)


def zipped(contents: Mapping[str, bytes]) -> bytes:
    """Return a zip file with `contents`. The same contents give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in sorted(contents.items()):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            info.compress_type = (
                zipfile.ZIP_STORED if name.endswith(".zip") else zipfile.ZIP_DEFLATED
            )
            archive.writestr(info, data)
    return out.getvalue()


def _contents() -> Iterator[tuple[str, bytes]]:
    """Yield the path and bytes of each file: this package, and the packages that it needs without extras."""
    yield from own_files()
    for package in _dependencies():
        for file in package.files or ():
            name = file.as_posix()
            if not name.startswith("..") and not name.endswith((*_SKIPPED, *_NATIVE)):
                yield name, Path(str(file.locate())).read_bytes()


def own_files() -> Iterator[tuple[str, bytes]]:
    """Yield the path and bytes of each file of this package."""
    for name in _OWN:
        yield from _tree(files(name), name)


def _tree(folder: Any, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _tree(entry, f"{name}/{entry.name}")
        elif entry.is_file() and not entry.name.endswith(_SKIPPED):
            yield f"{name}/{entry.name}", entry.read_bytes()


def _dependencies() -> list[Distribution]:
    """Return the installed packages that this one needs without extras, on any supported Python."""
    packages: dict[str, Distribution] = {}
    pending = [NAME]
    while pending:
        name = pending.pop()
        if name in packages:
            continue
        try:
            packages[name] = distribution(name)
        except PackageNotFoundError:
            raise BundlerError(
                f"{name} is not installed", hint="install hps-bundler again"
            ) from None
        for requirement in map(Requirement, packages[name].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(requirement.name)
    return [package for name, package in packages.items() if name != NAME]
