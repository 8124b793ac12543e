"""What a publication carries beside its wheels when its strategy is not `index`: filled caches, ready environments."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import Pylock
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bundler.layout import target_files
from wheelhouse import files, toml, uv
from wheelhouse.environment import complete
from wheelhouse.errors import FileFault
from wheelhouse.python_request import parse_python_request
from wheelhouse.target import PLATFORMS, Target
from wheelhouse.unpack import LARGEST_INTERPRETER, unpack

if TYPE_CHECKING:
    from bundler.manifest import TargetEntry

# Of the part that all members of an archive share, which `exec_script.py` knows.
_CACHE = "cache"
_PYTHON = "python"


def pack_environment(bundle: Path, script: str, entry: TargetEntry, scratch: Path, path: Path) -> None:
    """Write the interpreter of a target, with what `script` needs installed into it, to the archive `path`.

    Such a tree needs no virtual environment around it and runs from wherever it is unpacked.
    Raises `BadArchive`, `FileFault`, `UvFailed`.
    """
    assert entry.interpreter is not None  # noqa: S101 - `publish` has looked
    unpack(bundle / entry.interpreter, scratch, limit=LARGEST_INTERPRETER)
    version = re.search(r"\d+\.\d+\.\d+", Path(entry.interpreter).name)
    request = parse_python_request(entry.python)
    request = replace(request, version=version[0]) if version else request
    packages = next(scratch.glob(f"{_PYTHON}/**/site-packages"), None)
    if packages is None:
        lib = ("Lib",) if entry.system == "Windows" else ("lib", f"python{request.series}")
        packages = scratch.joinpath(_PYTHON, *lib, "site-packages")
    if not packages.resolve().is_relative_to(scratch.resolve()):
        raise FileFault(bundle / entry.interpreter, OSError("leads out of itself"))
    _install(bundle, script, entry, str(request), packages, scratch / "uv-cache", wheels=bundle / "wheels")
    if entry.system != "Windows":
        complete(scratch / _PYTHON, packages, [bundle / "wheels" / name for name in entry.wheels[script]])
    files.pack(scratch / _PYTHON, path, _PYTHON)


def pack_cache(base: Path, script: str, entry: TargetEntry, scratch: Path, path: Path) -> None:
    """Write a uv cache, filled with what `script` needs of the publication `base`, to the archive `path`.

    uv knows wheels in its cache by the place of their index, so this cache serves that publication at that path only.
    """
    _install(base, script, entry, entry.python, scratch / "unused", scratch / _CACHE, wheels=None)
    for left in ("interpreter-v4", "simple-v20"):
        shutil.rmtree(scratch / _CACHE / left, ignore_errors=True)
    (scratch / _CACHE / ".lock").unlink(missing_ok=True)
    files.pack(scratch / _CACHE, path, _CACHE)


def _install(
    root: Path, script: str, entry: TargetEntry, python: str, folder: Path, cache: Path, *, wheels: Path | None
) -> None:
    place = root / entry.folder()
    pylock = Pylock.from_dict(toml.loads((place / target_files(script)[2]).read_text(encoding="utf-8")))
    target = Target(python=python, platform=PLATFORMS[entry.platform])
    environment = target.environments(SpecifierSet())[0]
    chosen = [package for package, _ in pylock.select(environment=environment, tags=target.tags)]
    if not chosen:
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            cache.mkdir(parents=True, exist_ok=True)
        return
    source = [] if wheels else ["--default-index", (place / "simple").absolute().as_uri()]
    requirements = (
        [str(wheels / Path(package.wheels[0].path or "").name) for package in chosen if package.wheels]
        if wheels
        else [f"{package.name}=={package.version or Version('0')}" for package in chosen]
    )
    hint = "" if python.replace(".", "").isdigit() else f" (it can where a Python {python} is on the PATH)"
    failure = f"{script}: uv could not install it for {entry.name}{hint}."
    uv.install([*source, *requirements], folder, python=python, platform=entry.platform, cache=cache, failure=failure)
