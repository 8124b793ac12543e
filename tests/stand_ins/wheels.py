"""Real wheels and sdists, made in memory."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EPOCH = (1980, 1, 1, 0, 0, 0)


def metadata(
    name: str, version: str, requires: Sequence[str] = (), requires_python: str | None = None
) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    return ("\n".join(lines) + "\n").encode()


def make_wheel(
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    headers: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> tuple[str, bytes]:
    """Return file name and bytes of a wheel; without `files` it holds a module of its name with `version` in it."""
    escaped = name.replace("-", "_")
    info = f"{escaped}-{version}.dist-info"
    contents = (
        dict(files) if files is not None else {f"{escaped}.py": f"version = {version!r}\n".encode()}
    )
    more = "".join(f"{header}\n" for header in headers).encode()
    contents[f"{info}/METADATA"] = metadata(name, version, requires, requires_python) + more
    tags = "".join(
        f"Tag: {python}-{abi}-{platform}\n"
        for python in tag.split("-", maxsplit=1)[0].split(".")
        for abi in tag.split("-")[1].split(".")
        for platform in tag.split("-")[2].split(".")
    )
    contents[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n{tags}".encode()
    )
    record = "".join(f"{path},sha256={_b64(data)},{len(data)}\n" for path, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return f"{escaped}-{version}-{tag}.whl", _zip(contents)


def make_sdist(name: str, version: str = "1.0", requires: Sequence[str] = ()) -> tuple[str, bytes]:
    """Return file name and bytes of a source distribution with static metadata."""
    top = f"{name}-{version}"
    info = metadata(name, version, requires).replace(
        b"Metadata-Version: 2.1", b"Metadata-Version: 2.2"
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, data in ((f"{top}/PKG-INFO", info), (f"{top}/{name}.py", b"")):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return f"{top}.tar.gz", out.getvalue()


def _zip(contents: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data)
    return out.getvalue()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
