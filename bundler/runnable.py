"""A script with its environment and Python as one file that runs."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from bundler.bundle_folder import Bundle
from bundler.bundles.trees import PYTHON, install_with_own_python
from bundler.bundles.verify import verify
from bundler.errors import BundlerError
from bundler.manifest import TargetEntry
from bundler.selfextracting import write_shell
from wheelhouse import atomic, files
from wheelhouse.files import safe_path

# The folder of the script in the tree of its Python.
_SCRIPT = "script"
_TIME = (1980, 1, 1, 0, 0, 0)
_CMD = '@"%~dp0python\\python.exe" "%~dp0python\\script\\{script}" %*\r\n'


def write_runnable(folder: Path, output: Path, script: str | None = None) -> str:
    """Write the script of the bundle in `folder` as the file `output`, which runs; return its SHA-256 in hex.

    For Linux and macOS it is a shell program, for Windows a zip file with a .cmd file. The same bundle gives the same
    bytes. Raises `BundlerError` if the bundle has no Python, or several targets or scripts, `FileError`.
    """
    bundle = verify(folder)
    name = _script(bundle, script)
    target = _target(bundle)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        atomic.creating(output) as partial,
    ):
        place = bundle.manifest.folder(target, name)
        tree = install_with_own_python(folder, name, target, place, Path(scratch))
        (tree / _SCRIPT).mkdir()
        shutil.copyfile(bundle.script(name), tree / _SCRIPT / name)
        archive = Path(scratch, "environment.tar.gz")
        files.pack(tree, archive, PYTHON)
        if target.system == "Windows":
            _write_zip(archive, partial, name)
        else:
            values = {"name": name, "script": name, "platform": target.platform}
            write_shell("runnable.sh", values, archive, partial)
        return files.sha256(partial)


def _script(bundle: Bundle, name: str | None) -> str:
    names = [script.name for script in bundle.manifest.scripts]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        problem = f"has no script {name}" if name else "has several scripts"
        raise BundlerError(f"{bundle.folder} {problem}", hint="bundle the script on its own")
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not (safe_path(name) and plain.isalnum() and plain.isascii()):
        raise BundlerError(
            f"{name} cannot be in a shell program", hint="rename it to letters, digits, ._-"
        )
    return name


def _target(bundle: Bundle) -> TargetEntry:
    targets = bundle.manifest.targets
    if len(targets) > 1:
        raise BundlerError(
            f"{bundle.folder} has {len(targets)} targets, and a file that runs has one",
            hint="bundle for one --python and one --platform",
        )
    (target,) = targets
    if not target.interpreter:
        raise BundlerError(
            f"{bundle.folder} includes no Python, which a file that runs needs",
            hint="bundle again with --include-python",
        )
    return target


def _write_zip(archive: Path, path: Path, script: str) -> None:
    """Write the zip file `path` with the contents of `archive` and a .cmd file that runs `script`."""
    stem = script.removesuffix(".py")
    with (
        files.explained(path),
        zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as out,
        tarfile.open(archive) as source,
    ):
        out.writestr(_member(f"{stem}.cmd"), _CMD.format(script=script))
        for member in source:
            content = source.extractfile(member)
            if content:  # Pythons for Windows have no links.
                with out.open(_member(member.name), "w") as target:
                    shutil.copyfileobj(content, target, files.CHUNK)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info
