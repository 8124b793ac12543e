"""The manifest: the versioned contract that crosses the gap."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the bundle: `path` relative to it with forward slashes, `size` in bytes, `sha256` in hex.

    `origin` is the URL that it was downloaded from.
    """

    path: str
    size: int
    sha256: str
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEntry:
    """A script of the bundle as its author wrote it.

    `lock_sha256` is the digest of the file that dictated what it installs, `resolved_with` what the command line added.
    """

    name: str
    sha256: str
    requires_python: str
    dependencies: tuple[str, ...]
    lock_sha256: str | None = None
    resolved_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEntry:
    """A target of the bundle and, for each script, the file names of the wheels that it installs there.

    `system` and `machine` are what Python's `platform` module says on such a node, `libc` is (name, major, minor).
    `uv` and `interpreter` are the paths of a wheel of uv and of an archive of Python, where the bundle carries them.
    """

    name: str
    python: str
    platform: str
    system: str
    machine: str
    libc: tuple[str, int, int] | None
    wheels: Mapping[str, tuple[str, ...]]
    uv: str | None = None
    interpreter: str | None = None

    def folder(self) -> str:
        """Return the folder of the target, relative to the bundle."""
        return f"targets/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle holds: every file but the manifest itself and `SHA256SUMS`."""

    name: str
    scripts: tuple[ScriptEntry, ...]
    targets: tuple[TargetEntry, ...]
    files: tuple[File, ...]

    def to_json(self) -> bytes:
        """Return the bytes of manifest.json; equal manifests give equal bytes."""
        scripts = [
            {
                "name": script.name,
                "sha256": script.sha256,
                "requires-python": script.requires_python,
                "dependencies": list(script.dependencies),
                "lock-sha256": script.lock_sha256,
                "resolved-with": list(script.resolved_with),
            }
            for script in self.scripts
        ]
        targets = [
            {
                "name": target.name,
                "python": target.python,
                "platform": target.platform,
                "system": target.system,
                "machine": target.machine,
                "libc": list(target.libc) if target.libc else None,
                "wheels": {script: list(names) for script, names in sorted(target.wheels.items())},
                "uv": target.uv,
                "interpreter": target.interpreter,
            }
            for target in self.targets
        ]
        entries = [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "origin": file.origin}
            for file in sorted(self.files, key=lambda file: file.path)
        ]
        tables = {"format": FORMAT, "name": self.name, "scripts": scripts, "targets": targets, "files": entries}
        return (json.dumps(tables, indent=1, ensure_ascii=True) + "\n").encode()

    def file(self, path: str) -> File:
        """Return the file at `path`; raise `KeyError`."""
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(path)
