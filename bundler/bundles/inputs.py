"""The paths from which bundles on this machine were made, so that one does not replace another of the same name.

A bundle contains no path of this machine; the records are in the download cache, one file for each bundle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundler.errors import BundlerError
from bundler.layout import MANIFEST
from bundler.manifest import TargetEntry
from bundler.manifest_reader import read_manifest
from bundler.sources.source import Source
from wheelhouse import atomic, files
from wheelhouse.errors import WheelhouseError
from wheelhouse.target import Target

_FOLDER = "origins"
# Bytes of a record; a larger file is not one of ours.
_LIMIT = 1 << 20


def require_nothing_lost(
    output: Path, sources: Sequence[Source], targets: Sequence[Target], cache: Path
) -> None:
    """Raise `BundlerError` if `output` is a bundle of other scripts than `sources`, or for more than `targets`.

    Scripts of the same names count as others if the bundle was made on this machine from files at other paths.
    """
    try:
        manifest = read_manifest(output)
    except WheelhouseError:
        return
    bundled = [entry.name for entry in manifest.scripts]
    if set(bundled) != {source.name for source in sources}:
        raise _of_other_scripts(output, bundled)
    record = _read(_record(output, cache))
    if record.get("manifest") == _digest(output) and record["inputs"] != paths_of(sources):
        raise _of_other_scripts(output, record["inputs"])
    names = {target.name for target in targets}
    lost = [entry for entry in manifest.targets if entry.name not in names]
    if lost:
        raise _of_more_targets(output, lost)


def _of_more_targets(output: Path, lost: Sequence[TargetEntry]) -> BundlerError:
    pythons = dict.fromkeys(entry.python for entry in lost)
    platforms = dict.fromkeys(entry.platform for entry in lost)
    options = [f"--python {name}" for name in pythons] + [
        f"--platform {name}" for name in platforms
    ]
    return BundlerError(
        f"{output} is also for {', '.join(entry.name for entry in lost)}",
        hint=f"name these targets, too ({' '.join(options)}), or use --replace to remove them",
    )


def _of_other_scripts(output: Path, scripts: Sequence[str]) -> BundlerError:
    return BundlerError(
        f"{output} contains other scripts: {', '.join(scripts)}",
        hint="choose another --output, or use --replace",
    )


def remember(output: Path, paths: Sequence[str], cache: Path) -> None:
    """Record that the bundle at the absolute path `output` was made from `paths`, and drop records of deleted bundles.

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
    atomic.write(_record(output, cache), json.dumps(record).encode())


def _record(output: Path, cache: Path) -> Path:
    path = str(output.absolute()).encode(errors="surrogateescape")
    return cache / _FOLDER / f"{hashlib.sha256(path).hexdigest()}.json"


def _read(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError), files.open_input(path) as source:
        record = json.loads(source.read(_LIMIT))
        if isinstance(record, dict) and isinstance(record.get("inputs"), list):
            return record
    return {}


def _digest(output: Path) -> str:
    return files.sha256(output / MANIFEST)


def paths_of(sources: Sequence[Source]) -> list[str]:
    """Return the absolute paths of `sources`."""
    return sorted(str(source.path.absolute()) for source in sources)
