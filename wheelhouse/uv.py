"""The one door to uv: resolving, and locking for the node."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelhouse import process
from wheelhouse.certificates import ca_bundle
from wheelhouse.errors import UvFailed, UvMissing
from wheelhouse.runtime import parse_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Resolving needs some interpreter, not one that fits: uv must neither look for one nor download one.
# Run from the folder of what is compiled: uv reads [tool.uv] of a pyproject.toml only from there.
_COMPILE = ["pip", "compile", "--quiet"]
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


def call(
    arguments: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run uv with `arguments`; return exit code, standard output and error."""
    bundle = ca_bundle()
    trusted = {"SSL_CERT_FILE": bundle} if bundle and Path(bundle).is_file() else {}
    return process.run([executable(), *arguments], cwd=cwd, env={**_ENV, **trusted, **(env or {})})


def export(script: Path, *, locked: bool) -> tuple[int, str, str]:
    """Resolve `script` for all platforms at once and print the lock as pylock.toml (PEP 751); nothing is written.

    `locked`: a lock lies beside the script and is to be used as it is.
    """
    # Absolute, so that a name with a leading dash is no option.
    arguments: list[str | Path] = ["export", "--quiet", "--script", script.absolute()]
    arguments += ["--format", "pylock.toml", "--python", sys.executable]
    return call([*arguments, "--locked"] if locked else arguments)


def lock_changes(where: Sequence[str | Path], cwd: Path) -> str:
    """Return what `uv lock` would change in a lock that no longer fits, in uv's words; nothing is written."""
    _, _, err = call(["lock", "--dry-run", "--python", sys.executable, *where], cwd=cwd)
    return "\n".join(line for line in err.splitlines() if line.startswith(("Add ", "Remove ", "Update ")))


def export_project(folder: Path) -> tuple[int, str, str]:
    """Print the uv.lock of the project in `folder`, without its development groups, as pylock.toml."""
    return call(
        ["export", "--quiet", "--format", "pylock.toml", "--locked", "--no-dev", "--python", sys.executable],
        cwd=folder,
    )


def compile_universal(source: Path, pylock: Path, *, python: str) -> tuple[int, str, str]:
    """Resolve a requirements.txt for all platforms and Python `python` or newer into `pylock`, a pylock.toml.

    The versions of a lock that is there already are kept as far as they can be.
    """
    options: list[str | Path] = ["--universal", *_for_python(python), "--output-file", pylock.absolute()]
    return call([*_COMPILE, source.name, *options], cwd=source.parent)


def compile_for(source: Path, pylock: Path, *, python: str, platform: str) -> tuple[int, str, str]:
    """Do as `compile_universal` does for one target, wheels only."""
    options: list[str | Path] = [*_for_python(python), "--python-platform", platform, "--only-binary", ":all:"]
    return call([*_COMPILE, source.name, *options, "--output-file", pylock.absolute()], cwd=source.parent)


def _for_python(python: str) -> list[str]:
    """Return the options that make uv resolve or install for `python`.

    Any CPython stands for any other, but what is no plain CPython must be here.
    """
    stand_in = sys.executable if python[-1:].isdigit() and python[:1].isdigit() else python
    return ["--python", stand_in, "--python-version", parse_runtime(python).version]


def lock(script: Path) -> tuple[int, str, str]:
    """Lock `script` from the simple index `simple/` beside it, relative to its folder, without network."""
    return call(
        ["lock", "--quiet", "--script", f"./{script.name}", "--offline", "--no-config", "--default-index", "./simple"]
        + ["--python", sys.executable],
        cwd=script.parent,
    )


def python_for(requires_python: str) -> tuple[int, str, str]:
    """Print the version of the interpreter that uv would choose on this machine for `requires_python`."""
    return call(
        [
            "python",
            "find",
            "--system",
            "--no-project",
            "--show-version",
            *([requires_python] if requires_python else []),
        ]
    )


def known_pythons(version: str) -> list[dict[str, Any]]:
    """Return what uv knows of archives of this Python version, for all platforms."""
    everywhere = ["--all-versions", "--all-platforms", "--all-arches"]
    code, out, err = call(["python", "list", "--only-downloads", *everywhere, "--output-format", "json", version])
    if code:
        raise UvFailed(f"{version}: uv could not say whether it knows this Python.", err)
    found: list[dict[str, Any]] = json.loads(out)
    return found


def version() -> str:
    """Return the version of uv."""
    _, out, _ = call(["--version"])
    return out.split()[1]


def build(source: Path, out: Path, options: Sequence[str], env: Mapping[str, str]) -> tuple[int, str, str]:
    """Build a wheel of `source`, a folder or an sdist, into the folder `out`, in isolation."""
    # From an empty place, since uv would read the settings of a project around it.
    return call(["build", "--wheel", "--out-dir", out, *options, source], cwd=source.parent, env=env)


def install(wanted: Sequence[str], folder: Path, *, python: str, platform: str, cache: Path) -> tuple[int, str, str]:
    """Install what is `wanted`, wheels or requirements with options, into `folder` for a target of any platform.

    Nothing else is installed with it, and `cache` is uv's cache.
    """
    arguments: list[str | Path] = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-config"]
    arguments += [*_for_python(python), "--python-platform", platform]
    return call([*arguments, "--link-mode", "copy", "--target", folder, "--cache-dir", cache, *wanted])
