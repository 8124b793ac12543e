"""Names of the files in a bundle and in a publication."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wheelhouse.files import safe_path

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
README = "README.txt"
# In a delta archive only: the files that it leaves out.
DELTA = "delta.json"
# Files that may be added to a bundle: where it comes from, and who signed it. Neither the manifest nor SHA256SUMS lists
# them, since they contain the digest of the manifest.
PROVENANCE = "provenance.json"
SIGNATURES = "signatures/"
_ATTACHED = re.compile(rf"{re.escape(PROVENANCE)}|{SIGNATURES}[0-9a-f]{{16}}\.sums(\.sig)?")
# Additional files of a publication, which its manifest (that of the bundle) does not list.
EXEC_SCRIPT = "exec_script.py"
PUBLICATION = "publication.json"
COLLECTOR = "cache_gc.py"
# Programs that run a script of a publication by hand; older publications have none.
RUN, RUN_SHELL = "run.py", "run.sh"
# Folder of wheels, which all targets share.
WHEELS = "wheels/"
# Folder of archives of interpreters.
PYTHONS = "pythons/"
# Folder of bills of materials, if the bundle was created with them.
SBOMS = "sbom/"
# Folder of attestations of wheels, as their indexes offer them.
ATTESTATIONS = "attestations/"
# Folder of caches and environments in a publication.
ARCHIVES = "archives/"


def is_attached(path: str) -> bool:
    """Return whether `path` is one of the files that may be added to a bundle."""
    return bool(_ATTACHED.fullmatch(path))


def script_folder(name: str) -> str:
    """Return the name of the folder of the script `name` in the folder of a target."""
    stem = name.removesuffix(".py")
    # Windows drops dots and spaces at the end of a name.
    return stem if safe_path(stem) and stem == stem.rstrip(". ") else name


def script_files(name: str) -> tuple[str, str, str]:
    """Return the file names for the script `name` in its folder: script, uv lock file, pylock.toml."""
    return name, f"{name}.lock", f"pylock.{name.removesuffix('.py').replace('.', '_')}.toml"


def sums(digests: Mapping[str, str]) -> bytes:
    """Return the text of SHA256SUMS for `digests`, hex digests by path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()
