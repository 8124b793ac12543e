"""The tool with its own Python as one file, for machines that have neither Python nor root.

For Linux and macOS, it is a shell program with a tar archive at its end; for Windows, a zip file with .cmd files. It is
made like a bundle for one target with the strategy `environment`: every wheel and the Python by their digests.
"""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from pathlib import Path

from bundler import api
from bundler.errors import BundlerError
from bundler.layout import WHEELS
from bundler.manifest import Manifest, TargetEntry
from bundler.manifest_reader import read_manifest
from bundler.own_wheel import write_wheel
from bundler.progress import Progress, Report, silent
from bundler.publications.archives import pack_environment
from bundler.pyz import NAME
from bundler.selfextracting import write_shell
from bundler.version import __version__
from wheelhouse import atomic, files, toml

_COMMANDS = ("bundler", "hps-bundler", "publish-index")
_WITH_HPS = "submit-jobs"
# The functions of `bundler.cli` that the commands call.
_MAIN = {"publish-index": "main_publish_index", _WITH_HPS: "main_submit_jobs"}
_SCRIPT = "tool.py"
_TIME = (1980, 1, 1, 0, 0, 0)
_README = """{name} {version} for {platform}, with its own Python

Unpack this file to a folder. The commands are in its folder bin:

    bin\\bundler.cmd verify eval.bundle
    bin\\publish-index.cmd \\\\server\\store eval.bundle

Before you unpack the file, compare its SHA-256 with the one that `bundler carry` printed:

    certutil -hashfile FILE SHA256

To remove the tool, delete the folder.
"""
_CMD = (
    '@"%~dp0..\\python\\python.exe" -I -c "import sys; sys.argv[0] = \'{name}\'; '
    'from bundler.cli import {main} as main; main()" %*\r\n'
)


def carry(
    output: Path,
    *,
    platform: str | None = None,
    python: str | None = None,
    with_hps: bool = False,
    python_mirror: str | None = None,
    report: Report = silent,
) -> str:
    """Write the tool for `platform` (default: this machine's) to the file `output`; return its SHA-256 in hex.

    `python` is a version such as 3.12, `python_mirror` where the Python comes from. The same versions give the same
    bytes. Raises `BundlerError` or `WheelhouseError`.
    """
    with tempfile.TemporaryDirectory(prefix="carry-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        wheel = write_wheel(folder / "wheels")
        bundle = api.bundle(
            [_script(folder, wheel, with_hps=with_hps)],
            output=folder / "tool.bundle",
            pythons=[python] if python else (),
            platforms=[platform] if platform else (),
            include_python=True,
            python_mirror=python_mirror,
            report=report,
        )
        manifest = read_manifest(bundle)
        _require_own(manifest, wheel)
        (target,) = manifest.targets
        report(Progress(text=f"Packing the tool for {target.name}"))
        environment = folder / "environment.tar.gz"
        pack_environment(bundle, _SCRIPT, target, manifest.folder(target, _SCRIPT), environment)
        commands = (*_COMMANDS, *((_WITH_HPS,) if with_hps else ()))
        with atomic.creating(output) as partial:
            write = _write_zip if target.system == "Windows" else write_tool
            write(environment, partial, target, commands)
            return files.sha256(partial)


def _script(folder: Path, wheel: Path, *, with_hps: bool) -> Path:
    """Write a script that needs the tool in `wheel` and nothing else; it is only resolved."""
    extras = "hps,zstd" if with_hps else "zstd"
    tables = {
        "requires-python": ">=3.10",
        "dependencies": [f"{NAME}[{extras}]=={__version__}"],
        "tool": {"uv": {"find-links": [str(wheel.parent)]}},
    }
    path = folder / _SCRIPT
    path.write_text(toml.script_block(tables), encoding="utf-8")
    return path


def _require_own(manifest: Manifest, wheel: Path) -> None:
    """Raise `BundlerError` unless the tool in a bundle is that in `wheel`, and not one of the same name in an index."""
    own = (f"{WHEELS}{wheel.name}", files.sha256(wheel))
    if own not in [(file.path, file.sha256) for file in manifest.files]:
        fact = f"an index provides another {NAME} {__version__}, which is not this tool"
        raise BundlerError(fact, hint="find out where it comes from, or exclude it from the index")


def write_tool(
    environment: Path, path: Path, target: TargetEntry, commands: tuple[str, ...]
) -> None:
    """Write the shell program `path` that installs the archive `environment` with `commands`."""
    values = {
        "name": NAME,
        "version": __version__,
        "platform": target.platform,
        "commands": " ".join(commands),
    }
    write_shell("carried.sh", values, environment, path)


def _write_zip(
    environment: Path, path: Path, target: TargetEntry, commands: tuple[str, ...]
) -> None:
    readme = _README.format(name=NAME, version=__version__, platform=target.platform)
    texts = {"README.txt": readme.replace("\n", "\r\n")}
    texts |= {
        f"bin/{name}.cmd": _CMD.format(name=name, main=_MAIN.get(name, "main")) for name in commands
    }
    with (
        zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as out,
        tarfile.open(environment) as source,
    ):
        for name, text in texts.items():
            out.writestr(_member(name), text)
        for member in source:
            content = source.extractfile(member)
            if content:  # Pythons for Windows have no links.
                with out.open(_member(member.name), "w") as target_file:
                    while data := content.read(files.CHUNK):
                        target_file.write(data)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info
