"""Names of the files in a bundle and in a publication."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
README = "README.txt"
# In a delta archive only: the files that it leaves out.
DELTA = "delta.json"
# Additional files of a publication, which its manifest (that of the bundle) does not list.
EXEC_SCRIPT = "exec_script.py"
PUBLICATION = "publication.json"
COLLECTOR = "cache_gc.py"
# Folder of caches and environments in a publication.
ARCHIVES = "archives/"


def target_files(name: str) -> tuple[str, str, str]:
    """Return the file names for the script `name` in the folder of a target: script, uv lock file, pylock.toml."""
    return name, f"{name}.lock", f"pylock.{name.removesuffix('.py').replace('.', '_')}.toml"


def sums(digests: Mapping[str, str]) -> bytes:
    """Return the text of SHA256SUMS for `digests`, hex digests by path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()
