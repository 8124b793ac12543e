"""The archives that nodes unpack with the strategies `environment` and `cache`."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from packaging.pylock import Package, Pylock
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bundler.layout import script_files
from bundler.manifest import TargetEntry
from wheelhouse import environment, files, toml
from wheelhouse.errors import FileError
from wheelhouse.python_request import parse_python_request
from wheelhouse.resolve import uv
from wheelhouse.target import PLATFORMS, Target
from wheelhouse.unpack import LARGEST_INTERPRETER, unpack

# The top-level folders of the archives, which the execution script expects.
_CACHE = "cache"
_PYTHON = "python"


def pack_environment(root: Path, script: str, entry: TargetEntry, place: str, path: Path) -> None:
    """Write the interpreter of a target, with the wheels of `script` installed, to the archive `path`.

    `place` is the folder of the script in the publication `root`. The tree needs no virtual environment and runs from
    any path. Raises `ArchiveError`, `WheelError`, `FileError`.
    """
    assert entry.interpreter is not None  # noqa: S101 - checked by `Environment.require`
    with _scratch() as scratch:
        unpack(root / entry.interpreter, scratch, limit=LARGEST_INTERPRETER)
        version = re.search(r"\d+\.\d+\.\d+", Path(entry.interpreter).name)
        request = parse_python_request(entry.python)
        request = replace(request, version=version[0]) if version else request
        packages = next(scratch.glob(f"{_PYTHON}/**/site-packages"), None)
        if packages is None:
            lib = ("Lib",) if entry.system == "Windows" else ("lib", f"python{request.series}")
            packages = scratch.joinpath(_PYTHON, *lib, "site-packages")
        if not packages.resolve().is_relative_to(scratch.resolve()):
            raise FileError(
                root / entry.interpreter, OSError("contains a link that points outside of it")
            )
        selection = _chosen(root / place, script, entry, str(request))
        wheels = [
            root / "wheels" / Path(package.wheels[0].path or "").name
            for package in selection
            if package.wheels
        ]
        environment.install(scratch / _PYTHON, packages, wheels, PLATFORMS[entry.platform])
        files.pack(scratch / _PYTHON, path, _PYTHON)


def pack_cache(root: Path, script: str, entry: TargetEntry, place: str, path: Path) -> None:
    """Write a uv cache with the wheels of `script` to the archive `path`.

    `place` is the folder of the script in the publication `root`. uv's cache refers to wheels by the path of their
    index, so it only serves this publication at this path. Raises `FileError`, `UvError`.
    """
    with _scratch() as scratch:
        cache = scratch / _CACHE
        with files.explained(cache):
            cache.mkdir()
        packages = _chosen(root / place, script, entry, entry.python)
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


def _chosen(folder: Path, script: str, entry: TargetEntry, python: str) -> list[Package]:
    """Return the packages that `script` in `folder` installs with the Python version `python`, with one wheel each."""
    lock = folder / script_files(script)[2]
    pylock = Pylock.from_dict(toml.loads(lock.read_text(encoding="utf-8")))
    target = Target(python=python, platform=PLATFORMS[entry.platform])
    return [
        package
        for package, _ in pylock.select(
            environment=target.environments(SpecifierSet())[0], tags=target.tags
        )
    ]


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)
