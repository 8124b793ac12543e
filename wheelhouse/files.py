"""The one door to the disk: what is written appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wheelhouse.errors import FileFault

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
_PARTIAL = ".partial"
_OLD = ".old"
_ABANDONED_AFTER = 24 * 3600.0


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `FileFault` that names `path`."""
    try:
        yield
    except OSError as fault:
        raise FileFault(Path(fault.filename) if isinstance(fault.filename, str) else path, fault) from fault


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex, reading `CHUNK` bytes at a time."""
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    with explained(path), path.open("rb", buffering=0) as source:
        while count := source.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def beside(path: Path) -> Path:
    """Return a fresh hidden name in the folder of `path`, for building what is then renamed to it."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}{_PARTIAL}")


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old bytes or all of the new ones. Same bytes: no write."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return
        partial = beside(path)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def claim(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless that exists; return whether this call made it, which only one of two does."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = beside(path)
        try:
            partial.write_bytes(data)
            _link_new(partial, path)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
    return True


def _link_new(source: Path, path: Path) -> None:
    """Give `source` the second name `path`; raise `FileExistsError` where that is taken."""
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: an exclusive create is the next best, whole but for a crash in between.
        with path.open("xb") as out:
            out.write(source.read_bytes())


def link(source: Path, path: Path) -> None:
    """Give `source` the second name `path`, or copy it where the file system has no links between the two."""
    with explained(path):
        try:
            os.link(source, path)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(source, path)


def copy_hashed(source: Path, path: Path) -> str:
    """Copy a file and return the SHA-256 of the bytes that were written, in hex: read once, hashed on the way."""
    digest = hashlib.sha256()
    with explained(path), source.open("rb", buffering=0) as read, path.open("xb", buffering=0) as out:
        while chunk := read.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def building(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; when the block ends well it takes the place of `path`, else it vanishes.

    A folder that was at `path` stays until the new one is whole. What a killed run left behind is mended or,
    after a day, removed.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        partial = beside(path)
        partial.mkdir()
    try:
        yield partial
        with explained(path):
            old = path.with_name(f".{path.name}{_OLD}")
            if path.exists():
                path.rename(old)
            partial.rename(path)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _tidy(path: Path) -> None:
    old = path.with_name(f".{path.name}{_OLD}")
    if old.exists():
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:  # killed between the two renames: the old one is still the good one
            old.rename(path)
    for partial in path.parent.glob(f".*{_PARTIAL}"):
        with contextlib.suppress(OSError):
            if (
                partial.name.startswith(f".{path.name[:100]}.")
                and time.time() - partial.stat().st_mtime > _ABANDONED_AFTER
            ):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
