"""The one door to uv: resolving, and locking for the node."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelhouse import process
from wheelhouse.certificates import ca_bundle
from wheelhouse.errors import UvError, WheelhouseError
from wheelhouse.pylock import parse
from wheelhouse.python_request import parse_python_request
from wheelhouse.secrets import hidden, secret_values, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.pylock import Pylock

# Resolving needs some interpreter, not one that fits: uv must neither look for one nor download one.
# Run from the folder of what is compiled: uv reads [tool.uv] of a pyproject.toml only from there.
_COMPILE = ["pip", "compile", "--quiet"]
_EXPORT = ["export", "--quiet", "--format", "pylock.toml", "--python", sys.executable]
# Its lines are shown below ours, and read: they must not be wrapped.
_ENV = {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "COLUMNS": "10000"}


def executable() -> str:
    """Return the path of uv: beside this Python, else on the PATH; raise `WheelhouseError`."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            message = "uv: not found beside this Python or on the PATH"
            raise WheelhouseError(message, hint="install it: pip install uv") from None
        return found


def _call(
    arguments: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run uv with `arguments`; return exit code, standard output and error, without known secrets.

    uv may run builds to learn what a source distribution depends on: they see no secret that uv itself does not need.
    """
    bundle = ca_bundle()
    trusted = {"SSL_CERT_FILE": bundle} if bundle and Path(bundle).is_file() else {}
    # A keyring is another program, and may need any of them.
    inherited = dict(os.environ) if os.environ.get("UV_KEYRING_PROVIDER") else without_secrets(os.environ)
    more = {**_ENV, **trusted, **(env or {})}
    code, out, err = process.run([executable(), *arguments], cwd=cwd, env=more, inherited=inherited)
    return code, out, hidden(err, secret_values({**os.environ, **more}))


def _output(
    failure: str,
    arguments: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Return what uv prints; raise `UvError` with the sentence `failure` and uv's words."""
    code, out, err = _call(arguments, cwd=cwd, env=env)
    if code:
        raise UvError(failure, err)
    return out


def export(subject: str, folder: Path, *, env: Mapping[str, str]) -> Pylock:
    """Resolve the project in `folder`, which stands for `subject`; its uv.lock is written there.

    Raises `UvError`, `LockError`.
    """
    return parse(_output(unresolved(subject), _EXPORT, cwd=folder, env=env), subject)


def export_script(script: Path, *, locked: bool = False, frozen: bool = False, offline: bool = False) -> Pylock:
    """Return the lock of `script`; raise `UvError`, `LockError`.

    `locked` fails unless the lock beside the script fits it, `frozen` does not look whether it does; without both it is
    resolved, for all platforms, and nothing is written.
    """
    # Absolute, so that a name with a leading dash is no option.
    flags = [f"--{name}" for name, given in (("locked", locked), ("frozen", frozen), ("offline", offline)) if given]
    return parse(_output(unresolved(script.name), [*_EXPORT, "--script", script.absolute(), *flags]), script.name)


def export_project(subject: str, folder: Path, *, frozen: bool = False) -> Pylock:
    """Return the uv.lock of the project in `folder`, without its development groups; raise `UvError`, `LockError`.

    Fails unless the lock fits the project; with `frozen` uv does not look whether it does.
    """
    arguments = [*_EXPORT, "--frozen" if frozen else "--locked", "--no-dev"]
    return parse(_output(unresolved(subject), arguments, cwd=folder), subject)


def unresolved(subject: str) -> str:
    """Return the sentence for a failure of uv to resolve `subject`."""
    return f"{subject}: uv could not resolve its dependencies"


def lock_changes(where: Sequence[str | Path], cwd: Path) -> str:
    """Return what `uv lock` would change in a lock that no longer fits, in uv's words; nothing is written."""
    _, _, err = _call(["lock", "--dry-run", "--python", sys.executable, *where], cwd=cwd)
    return "\n".join(line for line in err.splitlines() if line.startswith(("Add ", "Remove ", "Update ")))


def compile_universal(
    subject: str, source: Path, pylock: Path, *, python: str, settings: Path, env: Mapping[str, str]
) -> Pylock:
    """Resolve a requirements.txt for Python `python` or newer, by way of the file `pylock`.

    The environments and other settings are those of the project in the folder `settings`. The versions of a lock that
    is in `pylock` already are kept as far as they can be. Raises `UvError`, `LockError`.
    """
    options: list[str | Path] = ["--project", settings, "--universal", *_for_python(python)]
    return _compile(subject, source, pylock, options, env)


def compile_for(
    subject: str,
    source: Path,
    pylock: Path,
    *,
    python: str,
    platform: str,
    prerelease: str | None,
    env: Mapping[str, str],
) -> Pylock:
    """Do as `compile_universal` does for one target, wheels only; `prerelease` is uv's option of that name."""
    options: list[str | Path] = [*_for_python(python), "--python-platform", platform, "--only-binary", ":all:"]
    options += ["--prerelease", prerelease] if prerelease else []
    return _compile(subject, source, pylock, options, env)


def _compile(subject: str, source: Path, pylock: Path, options: Sequence[str | Path], env: Mapping[str, str]) -> Pylock:
    arguments = [*_COMPILE, source.name, *options, "--output-file", pylock.absolute()]
    _output(unresolved(subject), arguments, cwd=source.parent, env=env)
    return parse(pylock.read_text(encoding="utf-8"), subject)


def _for_python(python: str) -> list[str]:
    """Return the options that make uv resolve or install for `python`.

    Any CPython stands for any other, but what is no plain CPython must be here.
    """
    stand_in = sys.executable if python[-1:].isdigit() and python[:1].isdigit() else python
    return ["--python", stand_in, "--python-version", parse_python_request(python).version]


def lock(script: Path, failure: str) -> None:
    """Lock `script` from the simple index `simple/` beside it, relative to its folder, without network.

    Raises `UvError` with the sentence `failure`.
    """
    # No setting of the user's: another index, of which uv remembers the pages, would be in the lock.
    inherited = {name: text for name, text in os.environ.items() if name == "UV_CACHE_DIR" or name[:3] != "UV_"}
    options = ["--quiet", "--offline", "--no-config", "--default-index", "./simple", "--python", sys.executable]
    command = [executable(), "lock", *options, "--script", f"./{script.name}"]
    code, _, err = process.run(command, cwd=script.parent, env=_ENV, inherited=inherited)
    if code:
        raise UvError(failure, err)


def python_for(requires_python: str, failure: str) -> str:
    """Return the version of the interpreter that uv would choose on this machine for `requires_python`.

    Raises `UvError` with the sentence `failure`.
    """
    wanted = [requires_python] if requires_python else []
    return _output(failure, ["python", "find", "--system", "--no-project", "--show-version", *wanted]).strip()


def known_pythons(version: str) -> list[dict[str, Any]]:
    """Return what uv knows of archives of this Python version, for all platforms; raise `UvError`."""
    everywhere = ["--all-versions", "--all-platforms", "--all-arches"]
    arguments = ["python", "list", "--only-downloads", *everywhere, "--output-format", "json", version]
    found: list[dict[str, Any]] = json.loads(
        _output(f"{version}: uv could not say whether it knows this Python.", arguments)
    )
    return found


def version() -> str:
    """Return the version of uv."""
    return _output("uv could not tell its version", ["--version"]).split()[1]


def make_environment(folder: Path, python: str) -> None:
    """Make a virtual environment of the interpreter or version `python` in `folder`; raise `UvError`."""
    failure = f"uv could not make an environment of Python {python}"
    _output(failure, ["venv", "--quiet", "--no-project", "--no-config", "--python", python, folder])


def install_into(environment: Path, requirements: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
    """Install `requirements`, wheels only, into the environment of the interpreter `environment`; raise `UvError`."""
    # From an empty place, since uv would read the settings of a project around it.
    options: list[str | Path] = ["--quiet", "--only-binary", ":all:", "--python", environment, "--"]
    _output("uv could not install what a build requires", ["pip", "install", *options, *requirements], cwd=cwd, env=env)


def install(wanted: Sequence[str], folder: Path, *, python: str, platform: str, cache: Path, failure: str) -> None:
    """Install what is `wanted`, wheels or requirements with options, into `folder` for a target of any platform.

    Nothing else is installed with it, and `cache` is uv's cache. Raises `UvError` with the sentence `failure`.
    """
    arguments: list[str | Path] = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-config"]
    arguments += [*_for_python(python), "--python-platform", platform]
    _output(failure, [*arguments, "--link-mode", "copy", "--target", folder, "--cache-dir", cache, *wanted])
