"""The manifest: the versioned description of a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bundler.layout import WHEELS, script_folder
from wheelhouse.wheel import BUILT_FROM, parse_filename

# Since format 2, each script of a target has a folder of its own. In format 1, all scripts of a target share one.
FORMAT = 2
SHARED_FOLDERS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the bundle: `path` relative to it, with forward slashes; `size` in bytes; `sha256` in hex.

    `origin` is the URL from which it was downloaded, or what it was built from.
    """

    path: str
    size: int
    sha256: str
    origin: str | None = None

    @property
    def filename(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_wheel(self) -> bool:
        """Whether this is one of the wheels that targets share."""
        return self.path.startswith(WHEELS)

    @property
    def is_built(self) -> bool:
        """Whether this was built from source on the connected machine."""
        return self.origin is not None and self.origin.startswith(BUILT_FROM)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEntry:
    """A script of the bundle.

    `lock_sha256` is the digest of the lock file that was followed; `resolved_with` lists options that affect
    resolution.
    """

    name: str
    sha256: str
    requires_python: str
    dependencies: tuple[str, ...]
    lock_sha256: str | None = None
    resolved_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEntry:
    """A target of the bundle, with the file names of the wheels that each script installs on it.

    `system` and `machine` are the values of Python's `platform` module on a node, `libc` is (name, major, minor). `uv`
    and `interpreter` are the paths of the included wheel of uv and archive of Python, or None.
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
    """The contents of a bundle: every file except the manifest itself and `SHA256SUMS`, in a `format` up to `FORMAT`.

    The publication of a folder of wheels has neither scripts nor targets.
    """

    name: str
    scripts: tuple[ScriptEntry, ...]
    targets: tuple[TargetEntry, ...]
    files: tuple[File, ...]
    format: int = FORMAT

    @property
    def wheels(self) -> list[File]:
        """The wheels, each once, also that of uv."""
        return [file for file in self.files if file.is_wheel]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each file in hex by its path."""
        return {file.path: file.sha256 for file in self.files}

    def versions(self, script: str | None = None) -> dict[str, set[str]]:
        """Return the versions of each project that `script`, or any script, installs on some target."""
        versions: dict[str, set[str]] = {}
        for target in self.targets:
            for name, filenames in target.wheels.items():
                if script not in (None, name):
                    continue
                for filename in filenames:
                    project, version = parse_filename(filename)
                    versions.setdefault(project, set()).add(str(version))
        return versions

    def folder(self, target: TargetEntry, script: str) -> str:
        """Return the folder of `script` with its locks and index for `target`, relative to the bundle."""
        if self.format == SHARED_FOLDERS:
            return target.folder()
        return f"{target.folder()}/{script_folder(script)}"

    def to_json(self) -> bytes:
        """Return the bytes of manifest.json. Equal manifests give equal bytes."""
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
        tables = {
            "format": self.format,
            "name": self.name,
            "scripts": scripts,
            "targets": targets,
            "files": entries,
        }
        return (json.dumps(tables, indent=1, ensure_ascii=True) + "\n").encode()

    def file(self, path: str) -> File:
        """Return the file at `path`. Raises `KeyError`."""
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(path)
