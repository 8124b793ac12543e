"""A bundle or publication on this machine: its folder, and the manifest in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.layout import EXEC_SCRIPT
from bundler.manifest import File, Manifest
from bundler.manifest_reader import read_manifest
from wheelhouse import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The bundle or publication in `folder`, whose manifest is valid; its files may still be damaged."""

    folder: Path
    manifest: Manifest

    @property
    def is_published(self) -> bool:
        """Whether this is a publication of scripts: it has an execution script, and a README of its own."""
        return (self.folder / EXEC_SCRIPT).is_file()

    def path(self, file: File) -> Path:
        """Return the path of `file`, which the manifest lists."""
        return self.folder / file.path

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of the file at `path` in the bundle. Raises `FileError`, also above `limit` bytes."""
        return files.read_plain(self.folder / path, limit)

    def script(self, name: str) -> Path:
        """Return the path of the script `name`, which is the same file for each target."""
        return self.folder / self.manifest.folder(self.manifest.targets[0], name) / name


def open_bundle(folder: Path, expected: str = "bundle or publication") -> Bundle:
    """Return the bundle or publication in `folder`; `expected` is for messages.

    Raises the errors of `read_manifest`.
    """
    return Bundle(folder=folder, manifest=read_manifest(folder, expected))
