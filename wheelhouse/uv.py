"""The only way to run uv: to resolve, lock and install."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from packaging.pylock import Pylock

from wheelhouse import process
from wheelhouse.certificates import ca_bundle
from wheelhouse.credentials import split_user
from wheelhouse.errors import UvError, WheelhouseError
from wheelhouse.pylock import parse
from wheelhouse.python_request import PythonRequest, parse_python_request
from wheelhouse.secrets import hidden, secret_values, without_secrets
from wheelhouse.uv_settings import variables
from wheelhouse.uv_words import split_words

# Resolving needs some interpreter, not a specific one, so uv must neither search for nor download one.
# uv reads [tool.uv] of a pyproject.toml only from the folder of its input.
_COMPILE = ["pip", "compile"]
_EXPORT = ["export", "--format", "pylock.toml", "--python", sys.executable]
# Output is parsed and shown indented, so uv must not wrap lines.
_ENV = {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "COLUMNS": "10000"}


class Answer(NamedTuple):
    """A lock, and the warnings of uv about it."""

    pylock: Pylock
    warnings: tuple[str, ...]


def executable() -> str:
    """Return the path of uv: next to this Python, or on PATH. Raises `WheelhouseError`."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - may not be installed

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        path = shutil.which("uv")
        if path is None:
            message = "uv was not found next to this Python or on PATH"
            raise WheelhouseError(message, hint="install it with `pip install uv`") from None
        return path


def _call(
    arguments: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run uv with `arguments`; return its exit code, standard output and error, without known secrets.

    Of uv's own environment variables, those that count here are inherited; empty ones in `env` are removed. uv may run
    builds to find the dependencies of a source distribution; they see no secret that uv does not need.
    """
    bundle = ca_bundle()
    trusted = {"SSL_CERT_FILE": bundle} if bundle and Path(bundle).is_file() else {}
    inherited = variables(os.environ)
    # A keyring is another program, which may need any of them.
    if not os.environ.get("UV_KEYRING_PROVIDER"):
        inherited = without_secrets(inherited)
    more = {**_ENV, **trusted, **(env or {})}
    inherited = {name: text for name, text in inherited.items() if more.get(name) != ""}
    more = {name: text for name, text in more.items() if text}
    code, out, err = process.run([executable(), *arguments], cwd=cwd, env=more, inherited=inherited)
    return code, out, hidden(err, secret_values({**os.environ, **more}))


def _output(
    failure: str,
    arguments: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Return the standard output of uv. Raises `UvError` with the message `failure` and uv's output."""
    code, out, err = _call(arguments, cwd=cwd, env=env)
    if code:
        raise UvError(failure, err)
    return out


def _lock(subject: str, arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None) -> Answer:
    """Return the lock that uv prints, and its warnings. Raises `UvError`, `LockError`."""
    code, out, err = _call(arguments, cwd=cwd, env=env)
    warnings, words = split_words(err)
    if code:
        raise UvError(unresolved(subject), "\n".join([*warnings, words]))
    return Answer(parse(out, subject), warnings)


def export(subject: str, folder: Path, *, env: Mapping[str, str]) -> Answer:
    """Resolve the project in `folder`, which stands for `subject`, and write its uv.lock there.

    Raises `UvError`, `LockError`.
    """
    return _lock(subject, _EXPORT, folder, env)


def export_script(
    script: Path,
    *,
    locked: bool = False,
    frozen: bool = False,
    offline: bool = False,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Return the lock of `script`, whose paths are relative to its folder. Raises `UvError`, `LockError`.

    `locked` fails unless the lock file matches the script; `frozen` does not check that. Without both, resolves for all
    platforms and writes nothing. Settings are those in and around the script, as for `uv run`, or in `env`.
    """
    # Absolute, so that a name with a leading dash is not an option.
    flags = [f"--{name}" for name, value in (("locked", locked), ("frozen", frozen), ("offline", offline)) if value]
    path = script.absolute()
    arguments: list[str | Path] = [*_EXPORT, "--script", path, *flags]
    return _lock(script.name, arguments, path.parent, env)


def export_project(subject: str, folder: Path, *, frozen: bool = False) -> Answer:
    """Return the uv.lock of the project in `folder`, without development groups. Raises `UvError`, `LockError`.

    Fails unless the lock matches the project; with `frozen`, uv does not check that.
    """
    return _lock(subject, [*_EXPORT, "--frozen" if frozen else "--locked", "--no-dev"], folder, None)


def unresolved(subject: str) -> str:
    """Return the message for a failed resolution of `subject`."""
    return f"{subject}: uv could not resolve its dependencies"


def lock_changes(where: Sequence[str | Path], cwd: Path) -> str:
    """Return the changes that `uv lock` would make to an outdated lock, in uv's words; nothing is written."""
    _, _, err = _call(["lock", "--dry-run", "--python", sys.executable, *where], cwd=cwd)
    return "\n".join(line for line in err.splitlines() if line.startswith(("Add ", "Remove ", "Update ")))


def compile_universal(
    subject: str, source: Path, pylock: Path, *, python: str, settings: Path, env: Mapping[str, str]
) -> Answer:
    """Resolve a requirements.txt for Python `python` or newer, using the file `pylock`.

    Environments and other settings are those of the project in the folder `settings`. Versions in an existing
    `pylock` are kept where possible. Raises `UvError`, `LockError`.
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
    buildable: Collection[str] | None,
    env: Mapping[str, str],
) -> Answer:
    """Like `compile_universal`, but for one target, with wheels only for all projects that are not `buildable`.

    None means that every project is buildable. `prerelease` is uv's option of that name.
    """
    options: list[str | Path] = [*_for_python(python), "--python-platform", platform]
    if buildable is not None:
        options += ["--only-binary", ":all:"]
        # uv allows builds of a project for which it must not take wheels; others of these have none that fit.
        options += [word for name in sorted(buildable) for word in ("--no-binary", name)]
    options += ["--prerelease", prerelease] if prerelease else []
    return _compile(subject, source, pylock, options, env)


def _compile(subject: str, source: Path, pylock: Path, options: Sequence[str | Path], env: Mapping[str, str]) -> Answer:
    arguments = [*_COMPILE, source.name, *options, "--output-file", pylock.absolute()]
    code, _, err = _call(arguments, cwd=source.parent, env=env)
    warnings, words = split_words(err)
    if code:
        raise UvError(unresolved(subject), "\n".join([*warnings, words]))
    return Answer(parse(pylock.read_text(encoding="utf-8"), subject), warnings)


def _for_python(python: str) -> list[str]:
    """Return the options with which uv resolves or installs for `python`.

    Any CPython can stand in for another one, but other implementations must be installed.
    """
    stand_in = sys.executable if python[-1:].isdigit() and python[:1].isdigit() else python
    return ["--python", stand_in, "--python-version", parse_python_request(python).version]


def lock(script: Path, failure: str) -> None:
    """Lock `script` from the simple index `simple/` next to it, relative to its folder, without network access.

    Raises `UvError` with the message `failure`.
    """
    # Without any settings: another index, whose pages uv has cached, would end up in the lock.
    inherited = {name: text for name, text in os.environ.items() if name == "UV_CACHE_DIR" or name[:3] != "UV_"}
    options = ["--quiet", "--offline", "--no-config", "--default-index", "./simple", "--python", sys.executable]
    command = [executable(), "lock", *options, "--script", f"./{script.name}"]
    code, _, err = process.run(command, cwd=script.parent, env=_ENV, inherited=inherited)
    if code:
        raise UvError(failure, err)


def python_for(request: str, failure: str, folder: Path | None = None) -> str:
    """Return the version of the interpreter that `uv run` would choose on this machine for `request` in `folder`.

    A request is a version or a range of versions; without one, files called .python-version decide. Like for `uv run`,
    the Python of a virtual environment counts, too. Raises `UvError` with the message `failure`.
    """
    requests = [request] if request else []
    return _output(failure, ["python", "find", "--no-project", "--show-version", *requests], cwd=folder).strip()


def known_pythons(request: PythonRequest) -> list[dict[str, Any]]:
    """Return uv's archives of this Python version, for all platforms. Raises `UvError`."""
    return [
        entry
        for entry in all_pythons(request.implementation)
        if f"{entry['version']}.".startswith(f"{request.version}.")
        and (entry["variant"] == "freethreaded") == request.free_threaded
    ]


def all_pythons(implementation: str) -> list[dict[str, Any]]:
    """Return uv's archives of all versions of "cpython" or "pypy", for all platforms. Raises `UvError`."""
    return _listed(implementation, os.environ.get("UV_PYTHON_DOWNLOADS_JSON_URL"))


@cache
def _listed(implementation: str, _: str | None) -> list[dict[str, Any]]:
    everywhere = ["--all-versions", "--all-platforms", "--all-arches"]
    arguments = ["python", "list", "--only-downloads", *everywhere, "--output-format", "json", implementation]
    failure = f"{implementation}: uv could not list Python versions"
    entries: list[dict[str, Any]] = json.loads(_output(failure, arguments))
    return entries


def version() -> str:
    """Return the version of uv."""
    return _output("uv could not print its version", ["--version"]).split()[1]


def make_environment(folder: Path, python: str) -> None:
    """Create a virtual environment of the interpreter or version `python` in `folder`. Raises `UvError`."""
    failure = f"uv could not create an environment with Python {python}"
    _output(failure, ["venv", "--quiet", "--no-project", "--no-config", "--python", python, folder])


def install_into(
    environment: Path,
    requirements: Sequence[str],
    *,
    constraints: Path | None,
    with_dependencies: bool,
    env: Mapping[str, str],
) -> None:
    """Install `requirements`, wheels only, into the environment of the interpreter `environment`. Raises `UvError`.

    `constraints` is a requirements file, `env` names the configuration file of uv.
    """
    options: list[str | Path] = ["--quiet", "--only-binary", ":all:", "--python", environment]
    # Those of the input do not count for its build requirements.
    options += ["--resolution", "highest", "--prerelease", "if-necessary-or-explicit"]
    options += ["--constraint", constraints] if constraints else []
    options += [] if with_dependencies else ["--no-deps"]
    failure = "uv could not install build requirements"
    _output(failure, ["pip", "install", *options, "--", *requirements], cwd=environment.parent, env=env)


def install(items: Sequence[str], folder: Path, *, python: str, platform: str, cache: Path, failure: str) -> None:
    """Install `items`, wheels or requirements with options, into `folder` for a target of any platform.

    Installs nothing else; `cache` is uv's cache. Raises `UvError` with the message `failure`.
    """
    arguments: list[str | Path] = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-config"]
    arguments += [*_for_python(python), "--python-platform", platform]
    _output(failure, [*arguments, "--link-mode", "copy", "--target", folder, "--cache-dir", cache, *items])


def publish(paths: Sequence[Path], url: str, check_url: str) -> None:
    """Upload the wheels `paths` to the index at `url`; files that the index at `check_url` has already are skipped.

    User and password come from the URL, or from where uv takes them: its environment variables, its configuration or a
    keyring. Raises `UvError`, also if the index has another file of the same name.
    """
    bare, user, password = split_user(url)
    # Not as arguments, which every user of this machine can see.
    given = {"UV_PUBLISH_USERNAME": user, "UV_PUBLISH_PASSWORD": password}
    env = {name: text for name, text in os.environ.items() if name.startswith("UV_PUBLISH_")}
    env |= {name: text for name, text in given.items() if text}
    arguments = ["publish", "--no-config", "--no-attestations", "--trusted-publishing", "never"]
    failure = f"{bare}: the upload failed"
    _output(failure, [*arguments, "--publish-url", bare, "--check-url", split_user(check_url)[0], *paths], env=env)
