"""Read members of zip files of others, within limits that their headers cannot lie about."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

# What zipfile raises for damaged and unusual files; `ValueError` covers names that cannot be decoded.
DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
# The others are decompressed as a whole, whatever size is stated.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """Return the bytes of `member`. Raises `ValueError` above `limit` bytes, and the errors in `DAMAGED`."""
    if member.compress_type not in _BOUNDED:
        raise ValueError(f"{member.filename} is compressed in an unusual way")
    with archive.open(member) as source:
        data = source.read(limit + 1)
        # zipfile cuts the data to the size in the header, and compares the checksum only at the end.
        if len(data) > limit or source.read(1):
            raise ValueError(f"{member.filename} has more than {limit} bytes")
    return data
