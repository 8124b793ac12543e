"""Archives of the share, unpacked once per node."""

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

from bundler.node.errors import OfflineRunError
from bundler.node.locks import turn
from bundler.node.share import LARGEST_ARCHIVE, copy_checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

A_DAY = 24 * 3600
# Of a digest in a path: enough to tell archives apart, short enough for Windows.
DIGITS = 16
# What Python 3.12 and newer need to be told, and older ones do not know; the digest vouches for what is in an archive.
EXTRACTION: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}


def unpacked(root: str, archive: Sequence[str], kept: str) -> str:
    """Return a folder on this node with the contents of `archive`, (path on the share, SHA-256), unpacked once.

    The bytes are checked on their way from the share, before anything is made of them, and the folder gets its name
    when it is whole: of jobs that come at once one wins, and a node that dies in between leaves nothing that counts.
    """
    path, sha256 = archive
    place = os.path.join(kept, sha256[:DIGITS])
    if not os.path.isdir(place):
        with turn(place, os.path.isdir):
            if not os.path.isdir(place):
                with building(kept, place) as contents:
                    unpack(root, path, sha256, contents)
    return place


@contextlib.contextmanager
def building(kept: str, place: str) -> Iterator[str]:
    """Yield an empty folder that becomes `place`, in the folder `kept`, when the block ends well."""
    try:
        os.makedirs(kept, exist_ok=True)
        clear_abandoned(kept)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=kept) as scratch:
            contents = os.path.join(scratch, "contents")
            os.mkdir(contents)
            yield contents
            try:
                os.rename(contents, place)
            except OSError:
                if not os.path.isdir(place):  # else another job was faster
                    raise
    except OSError as fault:
        raise OfflineRunError(
            "Cannot write to {} ({}). The user clears space there, or the administrator of HPS sets UV_CACHE_DIR "
            "in the registration of uv to a larger local disk.".format(kept, fault.strerror or fault)
        ) from fault


def unpack(root: str, path: str, sha256: str, contents: str) -> None:
    """Unpack the file `path` of the share into the folder `contents`."""
    copy = os.path.join(os.path.dirname(contents), os.path.basename(path))
    copy_checked(os.path.join(root, *path.split("/")), copy, sha256)
    try:
        if path.endswith(".whl"):
            unpack_uv(copy, contents)
        else:
            with tarfile.open(copy) as tar:
                for member in within_limit(tar):
                    tar.extract(member, contents, **EXTRACTION)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as fault:
        raise OfflineRunError(
            "{} cannot be unpacked, although it is as published ({}). Bundle the script again with another Python or "
            "uv, and publish that.".format(path, fault)
        ) from fault
    finally:
        os.remove(copy)


def within_limit(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of `tar`; raise `ValueError` for one with which it holds more than any should."""
    total = 0
    for member in tar:
        total += member.size
        if total > LARGEST_ARCHIVE:
            raise ValueError("it holds more than {} GB".format(LARGEST_ARCHIVE >> 30))
        yield member


def unpack_uv(wheel: str, contents: str) -> None:
    """Take uv out of its wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(("/scripts/uv", "/scripts/uv.exe"))]
        if not names:
            raise ValueError("there is no uv in it")
        for name in names:
            target = os.path.join(contents, os.path.basename(name))
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)
            os.chmod(target, 0o700)


def clear_abandoned(kept: str) -> None:
    """Remove what jobs that were killed left half unpacked, a day ago or more."""
    for name in os.listdir(kept):
        left = os.path.join(kept, name)
        with contextlib.suppress(OSError):
            if name.startswith(".unpacking-") and time.time() - os.stat(left).st_mtime > A_DAY:
                shutil.rmtree(left, ignore_errors=True)
