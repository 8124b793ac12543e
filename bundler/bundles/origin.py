"""Where the bundles of this machine were made from, so that one is not taken for another of the same name.

A bundle itself says nothing of this machine; what is remembered lies in the cache, one file for each bundle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.errors import BundlerError
from bundler.layout import MANIFEST
from bundler.manifest_reader import read_manifest
from wheelhouse import files
from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.sources.source import Source

_FOLDER = "origins"
# Of one record; more is none of ours.
_LIMIT = 1 << 20


def require_same_scripts(output: Path, sources: Sequence[Source], cache: Path) -> None:
    """Raise `BundlerError` where `output` is a bundle of other scripts than `sources`.

    Scripts of the same names are others if the bundle was made here, from files in other places.
    """
    try:
        manifest = read_manifest(output)
    except WheelhouseError:
        return
    if {entry.name for entry in manifest.scripts} != {source.name for source in sources}:
        raise _of_other_scripts(output, [entry.name for entry in manifest.scripts])
    found = _read(_record(output, cache))
    if found.get("manifest") == _digest(output) and found["inputs"] != paths_of(sources):
        raise _of_other_scripts(output, found["inputs"])


def _of_other_scripts(output: Path, scripts: Sequence[str]) -> BundlerError:
    return BundlerError(
        f"{output} is a bundle of other scripts: {', '.join(scripts)}",
        hint="choose another --output, or give --replace",
    )


def remember(output: Path, paths: Sequence[str], cache: Path) -> None:
    """Remember that the bundle at the absolute path `output` was made from `paths`, and forget bundles that are gone.

    Raises `FileError`.
    """
    record = {"output": str(output), "manifest": _digest(output), "inputs": list(paths)}
    folder = cache / _FOLDER
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.json"):
            other = _read(path).get("output")
            if not isinstance(other, str) or not Path(other, MANIFEST).exists():
                path.unlink(missing_ok=True)
    files.write(_record(output, cache), json.dumps(record).encode())


def _record(output: Path, cache: Path) -> Path:
    return (
        cache / _FOLDER / f"{hashlib.sha256(str(output.absolute()).encode(errors='surrogateescape')).hexdigest()}.json"
    )


def _read(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError), path.open("rb") as source:
        found = json.loads(source.read(_LIMIT))
        if isinstance(found, dict) and isinstance(found.get("inputs"), list):
            return found
    return {}


def _digest(output: Path) -> str:
    return files.sha256(output / MANIFEST)


def paths_of(sources: Sequence[Source]) -> list[str]:
    """Return the absolute paths of what `sources` were read from."""
    return sorted(str(source.path.absolute()) for source in sources)
