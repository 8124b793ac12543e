"""Register an environment as a kernel of Jupyter for this user."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from bundler.bundle_folder import Bundle
from bundler.errors import BundlerError
from wheelhouse import atomic, files
from wheelhouse.errors import FileError

_PACKAGE = "ipykernel"


def require_kernel(bundle: Bundle, script: str, python: Path) -> None:
    """Raise `BundlerError` without ipykernel for `script`, or if `python` would replace another kernel."""
    for target in bundle.manifest.targets:
        if not any(name.startswith(f"{_PACKAGE}-") for name in target.wheels[script]):
            raise BundlerError(
                f"{bundle.folder} has no {_PACKAGE}, which Jupyter needs",
                hint=f"bundle with --with {_PACKAGE}",
            )
    path = _description(python)
    if os.path.lexists(path) and _environment(_python_of(path)) != _environment(python):
        raise BundlerError(
            f"{path} is the kernel of another environment",
            hint="give the folder of this one another name, or remove the kernel",
        )


def register(python: Path) -> Path:
    """Register the environment of `python` as a kernel; return the kernel's folder. Raises `FileError`."""
    path = _description(python)
    kernel = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": _environment(python).name,
        "language": "python",
    }
    with files.explained(path.parent):
        files.make_folder(path.parent)
    atomic.write(path, json.dumps(kernel, indent=1).encode() + b"\n")
    return path.parent


def _description(python: Path) -> Path:
    """Return the path of the kernel's description. Jupyter ignores kernels with other characters in their names."""
    name = re.sub("[^a-z0-9._-]+", "-", _environment(python).name.lower()).strip("-")
    return _data() / "kernels" / (name or "environment") / "kernel.json"


def _environment(python: Path) -> Path:
    """Return the folder of the environment of `python`."""
    folder = python.parent
    return folder.parent if folder.name in ("bin", "Scripts") else folder


def _python_of(path: Path) -> Path:
    """Return the Python of the kernel in `path`; no absolute path if it cannot be read."""
    try:
        return Path(json.loads(files.read_plain(path, files.LARGEST_INPUT))["argv"][0])
    except (FileError, ValueError, LookupError, TypeError, RecursionError):
        return Path()


def _data() -> Path:
    """Return the folder for this user's data of Jupyter, as `jupyter --data-dir` does."""
    given = os.environ.get("JUPYTER_DATA_DIR")
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home()), "jupyter")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Jupyter"
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "jupyter"
