"""The files that are added to a bundle after it was created: signatures, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bundler.errors import BundlerError
from bundler.layout import MANIFEST, PROVENANCE, SIGNATURES, is_attached
from bundler.trust import statement
from bundler.trust.provenance import read_provenance
from wheelhouse import atomic, files

STATEMENT, SIGNATURE = ".sums", ".sums.sig"
# Bytes, and signatures; more would be an attack on memory and time.
LIMIT = 1 << 20
MOST_SIGNATURES = 100
_BEGIN = b"-----BEGIN SSH SIGNATURE-----"


def attached(folder: Path) -> dict[str, bytes]:
    """Return the files that were added to the bundle or publication in `folder` by their paths.

    Raises `BundlerError` if there are too many of them, `FileError`.
    """
    names = []
    if (folder / PROVENANCE).is_file():
        names.append(PROVENANCE)
    place = folder / SIGNATURES
    if place.is_dir():
        with files.explained(folder):
            names += sorted(f"{SIGNATURES}{path.name}" for path in place.iterdir())
    if len(names) > 2 * MOST_SIGNATURES + 1:
        raise too_many(folder)
    return {name: files.read_plain(folder / name, LIMIT) for name in names if is_attached(name)}


def too_many(folder: Path) -> BundlerError:
    """Return the error for a bundle with too many signatures."""
    return BundlerError(
        f"{folder} has more than {MOST_SIGNATURES} signatures",
        hint="delete those in its folder signatures/ that are foreign",
    )


def attach(source: Path, folder: Path, scratch: Path) -> bool:
    """Copy the files that were added to the bundle `source` to its publication `folder`; return whether any is new.

    Half-made files are in `scratch`. Creates nothing if somebody has just removed `folder`.

    A signed publication keeps its provenance and its signatures; signatures that do not cover this provenance are not
    copied. Raises `BundlerError`, `FileError`.
    """
    offered = attached(source)
    present = attached(folder)
    provenance = present.get(PROVENANCE)
    is_about_it = PROVENANCE in offered and _is_about(offered[PROVENANCE], folder)
    is_signed = any(name.endswith(STATEMENT) for name in present)
    if is_about_it and not is_signed:
        provenance = offered[PROVENANCE]
    wanted = _signatures_for(provenance, offered)
    if provenance is not None:
        wanted = {PROVENANCE: provenance, **wanted}
    is_any_new = False
    for name, data in wanted.items():
        if present.get(name) != data:
            _put(folder / name, data, scratch)
            is_any_new = True
    return is_any_new


def _signatures_for(provenance: bytes | None, offered: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those of the `offered` files that are statements about this provenance, and their signatures."""
    signatures = {}
    for name, data in offered.items():
        if not name.endswith(STATEMENT):
            continue
        signature = name.removesuffix(STATEMENT) + SIGNATURE
        text = offered.get(signature, b"")
        if text.startswith(_BEGIN) and _covers(data, provenance):
            signatures[name] = data
            signatures[signature] = text
    return signatures


def _put(path: Path, data: bytes, scratch: Path) -> None:
    """Write `data` to `path` atomically. Raises `FileError`, also if its publication does not exist any more."""
    partial = atomic.beside(path, scratch)
    with files.explained(path):
        try:
            partial.write_bytes(data)
            if path.parent.name == SIGNATURES.rstrip("/"):
                path.parent.mkdir(exist_ok=True)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _is_about(provenance: bytes, folder: Path) -> bool:
    """Return whether `provenance` is about the bundle in `folder`."""
    try:
        read_provenance(provenance, files.read_plain(folder / MANIFEST, LIMIT << 6))
    except ValueError:
        return False
    return True


def _covers(data: bytes, provenance: bytes | None) -> bool:
    """Return whether the statement `data` is about a bundle with this provenance."""
    try:
        stated = statement.parse(data).digests.get(PROVENANCE)
    except ValueError:
        return False
    if provenance is None:
        return stated is None
    return stated == files.bytes_sha256(provenance)
