"""Run uv to resolve, lock and install; no other module does."""

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
from wheelhouse.errors import UvError, WheelhouseError
from wheelhouse.fetch.certificates import ca_bundle
from wheelhouse.fetch.credentials import split_user
from wheelhouse.python_request import PythonRequest, parse_python_request
from wheelhouse.resolve.pylock import parse
from wheelhouse.resolve.uv_settings import variables
from wheelhouse.resolve.uv_words import split_words
from wheelhouse.secrets import hidden, secret_values, without_secrets

# Resolving needs some interpreter, not a specific one, so uv must neither search for nor download one.
_EXPORT = [
    "export",
    "--format",
    "pylock.toml",
    "--python",
    sys.executable,
]
# Output is parsed and shown indented, so uv must not wrap lines.
_ENV = {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "COLUMNS": "10000"}
# What uv is told: options, names and paths.
_Arguments = Sequence[str | Path]
_Command = list[str | Path]
_Variables = Mapping[str, str]


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
    arguments: _Arguments,
    *,
    cwd: Path | None = None,
    env: _Variables | None = None,
) -> tuple[int, str, str]:
    """Run uv with `arguments`; return its exit code, standard output and error, without known secrets.

    Of uv's own environment variables, those that count here are inherited; empty ones in `env` are removed. uv may run
    builds to find the dependencies of a source distribution; they see no secret that uv does not need.
    """
    inherited = variables(os.environ)
    # A keyring is another program, which may need any of them.
    if not os.environ.get("UV_KEYRING_PROVIDER"):
        inherited = without_secrets(inherited)
    own = dict(_ENV)
    bundle = ca_bundle()
    if bundle and Path(bundle).is_file():
        own["SSL_CERT_FILE"] = bundle
    own.update(env or {})
    removed = [name for name, text in own.items() if not text]
    for name in removed:
        del own[name]
        inherited.pop(name, None)
    command = [executable(), *arguments]
    code, out, err = process.run(
        command,
        cwd=cwd,
        env=own,
        inherited=inherited,
    )
    secrets = secret_values({**os.environ, **own})
    return code, out, hidden(err, secrets)


def _output(
    failure: str,
    arguments: _Arguments,
    *,
    cwd: Path | None = None,
    env: _Variables | None = None,
) -> str:
    """Return the standard output of uv. Raises `UvError` with the message `failure` and uv's output."""
    code, out, err = _call(arguments, cwd=cwd, env=env)
    if code:
        raise UvError(failure, err)
    return out


def _resolved(
    subject: str,
    arguments: _Arguments,
    cwd: Path,
    env: _Variables | None,
) -> tuple[str, tuple[str, ...]]:
    """Return what uv prints when it resolves `subject`: its output, and its warnings. Raises `UvError`."""
    code, out, err = _call(arguments, cwd=cwd, env=env)
    warnings, words = split_words(err)
    if code:
        message = f"{subject}: uv could not resolve its dependencies"
        raise UvError(message, "\n".join([*warnings, words]))
    return out, warnings


def _lock(
    subject: str,
    arguments: _Arguments,
    cwd: Path,
    env: _Variables | None,
) -> Answer:
    """Return the lock that uv prints, and its warnings. Raises `UvError`, `LockError`."""
    out, warnings = _resolved(subject, [*_EXPORT, *arguments], cwd, env)
    return Answer(parse(out, subject), warnings)


def export(subject: str, folder: Path, *, env: _Variables) -> Answer:
    """Resolve the project in `folder`, which stands for `subject`, and write its uv.lock there.

    Raises `UvError`, `LockError`.
    """
    return _lock(subject, [], folder, env)


def export_script(
    script: Path,
    *,
    locked: bool = False,
    frozen: bool = False,
    offline: bool = False,
    env: _Variables | None = None,
) -> Answer:
    """Return the lock of `script`, whose paths are relative to its folder. Raises `UvError`, `LockError`.

    `locked` fails unless the lock file matches the script; `frozen` does not check that. Without both, resolves for all
    platforms and writes nothing. Settings are those in and around the script, as for `uv run`, or in `env`.
    """
    # Absolute, so that a name with a leading dash is not an option.
    path = script.absolute()
    arguments: _Command = ["--script", path]
    if locked:
        arguments.append("--locked")
    if frozen:
        arguments.append("--frozen")
    if offline:
        arguments.append("--offline")
    return _lock(script.name, arguments, path.parent, env)


def export_project(subject: str, folder: Path, *, frozen: bool = False) -> Answer:
    """Return the uv.lock of the project in `folder`, without development groups. Raises `UvError`, `LockError`.

    Fails unless the lock matches the project; with `frozen`, uv does not check that.
    """
    check = "--frozen" if frozen else "--locked"
    return _lock(subject, [check, "--no-dev"], folder, None)


def lock_changes(where: _Arguments, cwd: Path) -> str:
    """Return the changes that `uv lock` would make to an outdated lock, in uv's words; nothing is written."""
    arguments = ["lock", "--dry-run", "--python", sys.executable, *where]
    _, _, err = _call(arguments, cwd=cwd)
    changes = [line for line in err.splitlines() if line.startswith(("Add ", "Remove ", "Update "))]
    return "\n".join(changes)


def compile_universal(
    subject: str,
    source: Path,
    pylock: Path,
    *,
    python: str,
    settings: Path,
    env: _Variables,
) -> Answer:
    """Resolve a requirements.txt for Python `python` or newer, using the file `pylock`.

    Environments and other settings are those of the project in the folder `settings`. Versions in an existing
    `pylock` are kept where possible. Raises `UvError`, `LockError`.
    """
    options: _Command = ["--project", settings, "--universal", *_for_python(python)]
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
    env: _Variables,
) -> Answer:
    """Like `compile_universal`, but for one target, with wheels only for all projects that are not `buildable`.

    None means that every project is buildable. `prerelease` is uv's option of that name.
    """
    options: _Command = [*_for_python(python), "--python-platform", platform]
    if buildable is not None:
        options += ["--only-binary", ":all:"]
        for name in sorted(buildable):
            # uv allows builds of a project for which it must not take wheels; others of these have none that fit.
            options += ["--no-binary", name]
    if prerelease:
        options += ["--prerelease", prerelease]
    return _compile(subject, source, pylock, options, env)


def _compile(
    subject: str,
    source: Path,
    pylock: Path,
    options: _Arguments,
    env: _Variables,
) -> Answer:
    # uv reads [tool.uv] of a pyproject.toml only from the folder of its input.
    arguments = ["pip", "compile", source.name, *options, "--output-file", pylock.absolute()]
    _, warnings = _resolved(subject, arguments, source.parent, env)
    return Answer(parse(pylock.read_text(encoding="utf-8"), subject), warnings)


def _for_python(python: str) -> list[str]:
    """Return the options with which uv resolves or installs for `python`.

    Any CPython can stand in for another one, but other implementations must be installed.
    """
    is_plain = python[:1].isdigit() and python[-1:].isdigit()
    stand_in = sys.executable if is_plain else python
    version = parse_python_request(python).version
    return ["--python", stand_in, "--python-version", version]


def lock(script: Path, failure: str) -> None:
    """Lock `script` from the simple index `simple/` next to it, relative to its folder, without network access.

    Raises `UvError` with the message `failure`.
    """
    command = [
        executable(),
        "lock",
        "--quiet",
        "--offline",
        "--no-config",
        *("--default-index", "./simple"),
        *("--python", sys.executable),
        *("--script", f"./{script.name}"),
    ]
    # Without any settings: another index, whose pages uv has cached, would end up in the lock.
    inherited = {
        name: text
        for name, text in os.environ.items()
        if name == "UV_CACHE_DIR" or name[:3] != "UV_"
    }
    code, _, err = process.run(
        command,
        cwd=script.parent,
        env=_ENV,
        inherited=inherited,
    )
    if code:
        raise UvError(failure, err)


def python_for(request: str, failure: str, folder: Path | None = None) -> str:
    """Return the version of the interpreter that `uv run` would choose on this machine for `request` in `folder`.

    A request is a version or a range of versions; without one, files called .python-version decide. Like for `uv run`,
    the Python of a virtual environment counts, too. Raises `UvError` with the message `failure`.
    """
    arguments = ["python", "find", "--no-project", "--show-version"]
    if request:
        arguments.append(request)
    return _output(failure, arguments, cwd=folder).strip()


def known_pythons(request: PythonRequest) -> list[dict[str, Any]]:
    """Return uv's archives of this Python version, for all platforms. Raises `UvError`."""
    result = []
    for entry in all_pythons(request.implementation):
        is_free_threaded = entry["variant"] == "freethreaded"
        is_same_version = f"{entry['version']}.".startswith(f"{request.version}.")
        if is_same_version and is_free_threaded == request.free_threaded:
            result.append(entry)
    return result


def all_pythons(implementation: str) -> list[dict[str, Any]]:
    """Return uv's archives of all versions of "cpython" or "pypy", for all platforms. Raises `UvError`."""
    return _listed(implementation, os.environ.get("UV_PYTHON_DOWNLOADS_JSON_URL"))


@cache
def _listed(implementation: str, _: str | None) -> list[dict[str, Any]]:
    arguments = [
        "python",
        "list",
        "--only-downloads",
        "--all-versions",
        "--all-platforms",
        "--all-arches",
        *("--output-format", "json"),
        implementation,
    ]
    failure = f"{implementation}: uv could not list Python versions"
    entries: list[dict[str, Any]] = json.loads(_output(failure, arguments))
    return entries


def version() -> str:
    """Return the version of uv."""
    return _output("uv could not print its version", ["--version"]).split()[1]


def make_environment(folder: Path, python: str) -> None:
    """Create a virtual environment of the interpreter or version `python` in `folder`. Raises `UvError`."""
    failure = f"uv could not create an environment with Python {python}"
    arguments: _Command = [
        "venv",
        "--quiet",
        "--no-project",
        "--no-config",
        "--python",
        python,
        folder,
    ]
    _output(failure, arguments)


def install_into(
    environment: Path,
    requirements: Sequence[str],
    *,
    constraints: Path | None,
    with_dependencies: bool,
    env: _Variables,
) -> None:
    """Install `requirements`, wheels only, into the environment of the interpreter `environment`. Raises `UvError`.

    `constraints` is a requirements file, `env` names the configuration file of uv.
    """
    arguments: _Command = [
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "--python",
        environment,
    ]
    # Those of the input do not count for its build requirements.
    arguments += ["--resolution", "highest", "--prerelease", "if-necessary-or-explicit"]
    if constraints:
        arguments += ["--constraint", constraints]
    if not with_dependencies:
        arguments.append("--no-deps")
    arguments += ["--", *requirements]
    _output(
        "uv could not install build requirements",
        arguments,
        cwd=environment.parent,
        env=env,
    )


def install(
    items: Sequence[str],
    folder: Path,
    *,
    python: str,
    platform: str,
    cache: Path,
    failure: str,
) -> None:
    """Install `items`, wheels or requirements with options, into `folder` for a target of any platform.

    Installs nothing else; `cache` is uv's cache. Raises `UvError` with the message `failure`.
    """
    arguments: _Command = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-config"]
    arguments += _for_python(python)
    arguments += ["--python-platform", platform]
    arguments += ["--link-mode", "copy", "--target", folder, "--cache-dir", cache]
    _output(failure, [*arguments, *items])


def publish(paths: Sequence[Path], url: str, check_url: str) -> None:
    """Upload the wheels `paths` to the index at `url`; files that the index at `check_url` has already are skipped.

    User and password come from the URL, or from where uv takes them: its environment variables, its configuration or a
    keyring. Raises `UvError`, also if the index has another file of the same name.
    """
    bare, user, password = split_user(url)
    bare_check_url, _, _ = split_user(check_url)
    arguments: _Command = [
        "publish",
        "--no-config",
        "--no-attestations",
        "--trusted-publishing",
        "never",
    ]
    arguments += ["--publish-url", bare, "--check-url", bare_check_url]
    # Not as arguments, which every user of this machine can see.
    env = {name: text for name, text in os.environ.items() if name.startswith("UV_PUBLISH_")}
    if user:
        env["UV_PUBLISH_USERNAME"] = user
    if password:
        env["UV_PUBLISH_PASSWORD"] = password
    _output(f"{bare}: the upload failed", [*arguments, *paths], env=env)
