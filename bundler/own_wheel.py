"""A wheel of this package, made from what is installed, so that the tool can pack itself without its sources."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bundler.errors import BundlerError
from bundler.pyz import NAME, own_files, zipped
from wheelhouse import atomic

_TAG = "py3-none-any"
_WHEEL = f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: true\nTag: {_TAG}\n"


def write_wheel(folder: Path) -> Path:
    """Write a wheel of this package to `folder` and return its path. The same version gives the same bytes.

    Follows the binary distribution format. Raises `BundlerError` if the package has no metadata, `FileError`.
    """
    try:
        package = distribution(NAME)
    except PackageNotFoundError:
        raise BundlerError(f"{NAME} is not installed", hint=f"install {NAME} again") from None
    stem = f"{NAME.replace('-', '_')}-{package.version}"
    info = f"{stem}.dist-info"
    contents = dict(own_files())
    for name in ("METADATA", "entry_points.txt"):
        contents[f"{info}/{name}"] = (package.read_text(name) or "").encode()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    lines = [
        f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in sorted(contents.items())
    ]
    record = "".join(lines)
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = folder / f"{stem}-{_TAG}.whl"
    atomic.write(path, zipped(contents))
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
