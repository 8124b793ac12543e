"""Archives compressed with Zstandard (RFC 8878), and the detection of them.

The window covers several wheels, since those of one package for several Pythons share files. It is the largest one that
the `zstd` program reads without an option.
"""

from __future__ import annotations

import sys
from typing import IO, Any, cast

from bundler.errors import BundlerError

_MAGIC = b"\x28\xb5\x2f\xfd"
# 2**27 bytes, 134 MB, which is also what reading takes in memory.
_WINDOW = 27
_LEVEL = 6
_HINT = "use Python 3.14, or run `pip install 'hps-bundler[zstd]'`"


def compressing(out: IO[bytes]) -> IO[bytes]:
    """Return a stream whose bytes are compressed and written to `out`. Raises `BundlerError` without Zstandard."""
    zstd = _module(_HINT)
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _LEVEL,
        parameter.window_log: _WINDOW,
        parameter.enable_long_distance_matching: 1,
        parameter.checksum_flag: 1,
    }
    return cast("IO[bytes]", zstd.ZstdFile(out, "wb", options=options))


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """Return the bytes of the archive `source`, decompressed if they are compressed.

    Raises `BundlerError` without Zstandard.
    """
    peeked = _Peeked(source)
    if peeked.start != _MAGIC:
        return cast("IO[bytes]", peeked)
    zstd = _module(
        f"{_HINT}, or decompress the archive with zstd -dc and pipe it to `bundler unpack -`"
    )
    return cast("IO[bytes]", _Errors(zstd.ZstdFile(peeked, "rb"), zstd.ZstdError))


def _module(hint: str) -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - an extra before Python 3.14
        else:
            from backports import zstd  # noqa: PLC0415
    except ImportError:  # Other packages may provide `backports`.
        raise BundlerError("this Python cannot read or write Zstandard", hint=hint) from None
    return zstd


class _Peeked:
    """A stream whose first bytes are known."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.start = b""
        while len(self.start) < len(_MAGIC) and (
            data := source.read(len(_MAGIC) - len(self.start))
        ):
            self.start += data
        self._rest = self.start

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""
        if not self._rest:
            return self._source.read(size)
        end = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:end], self._rest[end:]
        return data


class _Errors:
    """A decompressed stream that raises `ValueError` for damage."""

    def __init__(self, source: IO[bytes], error: type[Exception]) -> None:
        self._source = source
        self._error = error

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""
        try:
            return self._source.read(size)
        except self._error as error:
            raise ValueError(str(error)) from error
