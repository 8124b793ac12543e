from __future__ import annotations

import io
import subprocess
import sys

import pytest

from bundler.bundles.zstd import compressing, decompressed
from bundler.errors import BundlerError

DATA = b"wheels " * 100_000


def compressed() -> bytes:
    out = io.BytesIO()
    with compressing(out) as target:
        target.write(DATA)
    return out.getvalue()


def read(data: bytes) -> bytes:
    source = decompressed(io.BytesIO(data))
    return b"".join(iter(lambda: source.read(1000), b""))


def test_what_was_compressed_is_read_again_and_other_bytes_as_they_are() -> None:
    data = compressed()
    assert len(data) < len(DATA) / 100
    assert data == compressed()
    assert read(data) == DATA
    for plain in (b"", b"a", b"abcd", DATA):
        assert read(plain) == plain


@pytest.mark.parametrize("end", [5, 20, -1])
def test_damage_is_a_value_error_or_an_end_of_file(end: int) -> None:
    with pytest.raises((ValueError, EOFError)):
        read(compressed()[:end])
    with pytest.raises(ValueError, match="."):
        read(compressed()[:20] + b"\xff" * 50)


def test_a_python_without_zstandard_names_the_program_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = compressed()
    monkeypatch.setitem(
        sys.modules, "compression" if sys.version_info >= (3, 14) else "backports", None
    )
    with pytest.raises(BundlerError, match=r"decompress the archive with zstd -dc and pipe it to"):
        read(data)
    with pytest.raises(BundlerError, match=r"hps-bundler\[zstd\]"):
        compressed()


def test_the_module_is_not_imported_for_plain_archives() -> None:
    code = "import io, sys; from bundler.bundles.zstd import decompressed\n"
    code += "decompressed(io.BytesIO(b'x')); sys.exit('backports' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
