"""Unpack archives from the store, once per node."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import time
import zipfile
import zlib
from typing import TYPE_CHECKING

from bundler.node.errors import SPACE_FOR_CACHE, OfflineRunError, says_full
from bundler.node.locks import turn
from bundler.node.share import LARGEST_ARCHIVE, copy_checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

A_DAY = 24 * 3600
# Characters of a digest in a path: enough to distinguish archives, short enough for Windows.
DIGITS = 16
# Python 3.12 and newer need a filter, older ones have none; the digest guarantees the contents of the archive.
EXTRACTION: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}


def unpacked(root: str, archive: Sequence[str], state: str) -> str:
    """Return a folder on this node with the contents of `archive`, a (path in the store, SHA-256) pair.

    The bytes are verified while they are copied, before they are unpacked, and the folder is renamed when it is
    complete. One of several concurrent jobs wins, and a crash leaves nothing under the final name.
    """
    path, sha256 = archive
    place = os.path.join(state, sha256[:DIGITS])
    if not os.path.isdir(place):
        with turn(place, os.path.isdir):
            if not os.path.isdir(place):
                with building(state, place) as contents:
                    unpack(root, path, sha256, contents)
    return place


@contextlib.contextmanager
def building(state: str, place: str) -> Iterator[str]:
    """Yield an empty folder that is renamed to `place`, in the folder `state`, if the block succeeds."""
    try:
        os.makedirs(state, exist_ok=True)
        clear_abandoned(state)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=state) as scratch:
            contents = os.path.join(scratch, "contents")
            os.mkdir(contents)
            yield contents
            try:
                os.rename(contents, place)
            except OSError:
                if not os.path.isdir(place):  # Otherwise another job was faster.
                    raise
    except OSError as error:
        if says_full(error):
            raise OfflineRunError(
                "the disk of the uv cache is full: {}".format(state), SPACE_FOR_CACHE
            ) from error
        raise OfflineRunError(
            "cannot write to {} ({})".format(state, error.strerror or error),
            "ask the administrator of the nodes to set UV_CACHE_DIR to a local disk that users can write to",
        ) from error


def unpack(root: str, path: str, sha256: str, contents: str) -> None:
    """Unpack the file `path` in the store to the folder `contents`."""
    copy = os.path.join(os.path.dirname(contents), os.path.basename(path))
    copy_checked(os.path.join(root, *path.split("/")), copy, sha256)
    try:
        if path.endswith(".whl"):
            _unpack_uv(copy, contents)
        else:
            with tarfile.open(copy) as tar:
                for member in _within_limit(tar):
                    tar.extract(member, contents, **EXTRACTION)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        ValueError,
    ) as error:
        raise OfflineRunError(
            "{} cannot be unpacked, although it matches its digest ({})".format(path, error),
            "bundle the script again with another Python or uv, and publish it",
        ) from error
    finally:
        os.remove(copy)


def _within_limit(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of `tar`. Raises `ValueError` if they exceed the size limit."""
    total = 0
    for member in tar:
        total += member.size
        if total > LARGEST_ARCHIVE:
            raise ValueError("it contains more than {} GB".format(LARGEST_ARCHIVE >> 30))
        yield member


def _unpack_uv(wheel: str, contents: str) -> None:
    """Extract uv from its wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [
            name for name in archive.namelist() if name.endswith(("/scripts/uv", "/scripts/uv.exe"))
        ]
        if not names:
            raise ValueError("it does not contain uv")
        for name in names:
            target = os.path.join(contents, os.path.basename(name))
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)
            os.chmod(target, 0o700)


def clear_abandoned(state: str) -> None:
    """Remove partly unpacked folders that killed jobs left at least a day ago."""
    for name in os.listdir(state):
        path = os.path.join(state, name)
        with contextlib.suppress(OSError):
            if name.startswith(".unpacking-") and time.time() - os.stat(path).st_mtime > A_DAY:
                shutil.rmtree(path, ignore_errors=True)
