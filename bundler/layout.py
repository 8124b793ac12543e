"""The names of the files in a bundle and in a publication, which is a bundle with files on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
README = "README.txt"
# On top of the bundle in a publication; its manifest, which is the bundle's, does not know of them.
EXEC_SCRIPT = "exec_script.py"
PUBLICATION = "publication.json"
COLLECTOR = "cache_gc.py"
# Where a publication keeps caches and environments.
ARCHIVES = "archives/"


def target_files(name: str) -> tuple[str, str, str]:
    """Return what the script `name` makes in the folder of a target: itself, its lock for uv, and its pylock.toml."""
    return name, f"{name}.lock", f"pylock.{name.removesuffix('.py').replace('.', '_')}.toml"


def sums(digests: Mapping[str, str]) -> bytes:
    """Return SHA256SUMS for `sha256sum -c`: `digests` maps a path to a digest in hex."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()
