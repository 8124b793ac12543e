"""The archives that nodes unpack with the strategies `environment` and `cache`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.version import Version

from bundler.bundles.trees import PYTHON, chosen, install_with_own_python
from bundler.manifest import TargetEntry
from wheelhouse import files
from wheelhouse.resolve import uv

# The top-level folder of a cache, which the execution script expects.
_CACHE = "cache"


def pack_environment(root: Path, script: str, entry: TargetEntry, place: str, path: Path) -> None:
    """Write the interpreter of a target, with the wheels of `script` installed, to the archive `path`.

    `place` is the folder of the script in the publication `root`. The tree needs no virtual environment and runs from
    any path. Raises `ArchiveError`, `WheelError`, `FileError`.
    """
    with _scratch() as scratch:
        tree = install_with_own_python(root, script, entry, place, scratch)
        files.pack(tree, path, PYTHON)


def pack_cache(root: Path, script: str, entry: TargetEntry, place: str, path: Path) -> None:
    """Write a uv cache with the wheels of `script` to the archive `path`.

    `place` is the folder of the script in the publication `root`. uv's cache refers to wheels by the path of their
    index, so it only serves this publication at this path. Raises `FileError`, `UvError`.
    """
    with _scratch() as scratch:
        cache = scratch / _CACHE
        with files.explained(cache):
            cache.mkdir()
        packages = chosen(root / place, script, entry, entry.python).packages
        if packages:
            index = (root / place / "simple").absolute().as_uri()
            requirements = [
                f"{package.name}=={package.version or Version('0')}" for package in packages
            ]
            there = entry.python.replace(".", "").isdigit()
            hint = "" if there else f" (this may need Python {entry.python} on PATH)"
            uv.install(
                ["--default-index", index, *requirements],
                scratch / "unused",
                python=entry.python,
                platform=entry.platform,
                cache=cache,
                failure=f"{script}: uv could not install it for {entry.name}{hint}",
            )
        for name in ("interpreter-v4", "simple-v20"):
            shutil.rmtree(cache / name, ignore_errors=True)
        (cache / ".lock").unlink(missing_ok=True)
        files.pack(cache, path, _CACHE)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)
