"""Install the wheels of a script into a Python: one that the bundle includes, or one of this machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from packaging.pylock import Pylock
from packaging.specifiers import SpecifierSet

from bundler.layout import WHEELS, script_files
from bundler.manifest import TargetEntry
from wheelhouse import environment, toml
from wheelhouse.errors import FileError
from wheelhouse.python_request import parse_python_request
from wheelhouse.target import PLATFORMS, Target
from wheelhouse.unpack import LARGEST_INTERPRETER, unpack

# The folder in an archive of an interpreter.
PYTHON = "python"


def install_with_own_python(
    root: Path, script: str, entry: TargetEntry, place: str, folder: Path
) -> Path:
    """Unpack the interpreter of the target `entry` to `folder` and install the wheels of `script`; return its tree.

    `place` is the folder of the script in the bundle or publication `root`. The tree needs no virtual environment and
    runs from any path. Raises `ArchiveError`, `WheelError`, `FileError`.
    """
    assert entry.interpreter is not None  # noqa: S101 - the caller has looked
    unpack(root / entry.interpreter, folder, limit=LARGEST_INTERPRETER)
    version = re.search(r"\d+\.\d+\.\d+", Path(entry.interpreter).name)
    request = parse_python_request(entry.python)
    request = replace(request, version=version[0]) if version else request
    packages = next(folder.glob(f"{PYTHON}/**/site-packages"), None)
    if packages is None:
        lib = ("Lib",) if entry.system == "Windows" else ("lib", f"python{request.series}")
        packages = folder.joinpath(PYTHON, *lib, "site-packages")
    if not packages.resolve().is_relative_to(folder.resolve()):
        raise FileError(
            root / entry.interpreter, OSError("contains a link that points outside of it")
        )
    wheels = wheels_for(root, script, entry, place, str(request))
    environment.install(folder / PYTHON, packages, wheels, PLATFORMS[entry.platform])
    return folder / PYTHON


def wheels_for(root: Path, script: str, entry: TargetEntry, place: str, python: str) -> list[Path]:
    """Return the wheels in `root` that `script` installs with the Python version `python`."""
    wheels = []
    for package in chosen(root / place, script, entry, python).packages:
        if package.wheels:
            wheels.append(root / WHEELS / Path(package.wheels[0].path or "").name)
    return wheels


def chosen(folder: Path, script: str, entry: TargetEntry, python: str) -> Pylock:
    """Return the lock of `script` in `folder` with only what it installs with `python`: one wheel of each package."""
    lock = folder / script_files(script)[2]
    pylock = Pylock.from_dict(toml.loads(lock.read_text(encoding="utf-8")))
    target = Target(python=python, platform=PLATFORMS[entry.platform])
    markers = target.environments(SpecifierSet())[0]
    packages = [package for package, _ in pylock.select(environment=markers, tags=target.tags)]
    return replace(pylock, packages=packages)
