"""The one door to uv: resolving, and locking for the node."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wheelhouse import process
from wheelhouse.certificates import ca_bundle
from wheelhouse.errors import UvMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

# Resolving needs some interpreter, not one that fits: uv must neither look for one nor download one.
_ENV = {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}


def executable() -> str:
    """Return the path of uv: the one installed beside this Python, else the one on the PATH; raise `UvMissing`."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            raise UvMissing from None
        return found


def call(arguments: Sequence[str | Path], *, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run uv with `arguments`; return exit code, standard output and error."""
    bundle = ca_bundle()
    trusted = {"SSL_CERT_FILE": bundle} if bundle and Path(bundle).is_file() else {}
    return process.run([executable(), *arguments], cwd=cwd, env={**_ENV, **trusted})


def export(script: Path, *, locked: bool) -> tuple[int, str, str]:
    """Resolve `script` for all platforms at once and print the lock as pylock.toml (PEP 751); nothing is written.

    `locked`: a lock lies beside the script and is to be used as it is.
    """
    # Absolute, so that a name with a leading dash is no option.
    arguments: list[str | Path] = ["export", "--quiet", "--script", script.absolute()]
    arguments += ["--format", "pylock.toml", "--python", sys.executable]
    return call([*arguments, "--locked"] if locked else arguments)


def compile_for(project: Path, *, python: str, platform: str, output: Path) -> tuple[int, str, str]:
    """Resolve the pyproject.toml in the folder `project` for one target, wheels only, into `output` (a pylock.toml)."""
    return call(
        ["pip", "compile", "--quiet", "pyproject.toml", "--python-version", python, "--python-platform", platform]
        + ["--only-binary", ":all:", "--format", "pylock.toml", "--output-file", str(output)],
        # uv reads [tool.uv] of this file only when run from its folder.
        cwd=project,
    )


def lock(script: Path) -> tuple[int, str, str]:
    """Lock `script` from the simple index `simple/` beside it, relative to its folder, without network."""
    return call(
        ["lock", "--quiet", "--script", f"./{script.name}", "--offline", "--no-config", "--default-index", "./simple"]
        + ["--python", sys.executable],
        cwd=script.parent,
    )


def python_for(requires_python: str) -> tuple[int, str, str]:
    """Print the version of the interpreter that uv would choose on this machine for `requires_python`."""
    return call(["python", "find", "--no-project", "--show-version", *([requires_python] if requires_python else [])])


def knows_python(version: str) -> bool:
    """Return whether uv has ever heard of this Python version."""
    code, out, _ = call(["python", "list", "--only-downloads", "--all-versions", "--output-format", "json", version])
    return code != 0 or out.strip() not in ("", "[]")
