"""Resolve with pip-tools and pip, for sites where only these are configured (pip.conf, PIP_*).

They evaluate markers and choose wheels for the Python and platform on which they run and for no other (pip #11664),
so the result is for this machine.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse import process
from wheelhouse.errors import UvError, not_as_locked
from wheelhouse.pip_settings import read_pip_settings
from wheelhouse.requirements import only_hashed, read
from wheelhouse.resolution import Resolution
from wheelhouse.secrets import hidden, secret_values
from wheelhouse.wheel import url_filename

# The only target for which they resolve.
PYTHON = ".".join(platform.python_version_tuple()[:2])
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_UNAUTHORIZED = re.compile(r"\b40[13] Client Error\b[^\n]{0,40}? for|\b40[13] Error|User for")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def resolve(
    subject: str, dependencies: Sequence[str], constraints: Sequence[str], folder: Path, keep: Sequence[str] = ()
) -> Resolution:
    """Resolve `dependencies` with pip's configuration, for this Python and platform, in the empty `folder`.

    The versions in `keep` ("name==version") are kept where possible. Raises `UvError`, `LockError`.
    """
    return _resolve(subject, dependencies, constraints, folder, keep, [])


def resolve_requirements(path: Path, subject: str, folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Like `resolve` for a requirements file, respecting the hashes in it and in the files that it includes."""
    contents = read(path)
    if contents.invalid:
        raise not_as_locked(path.name, contents.invalid)
    texts = contents.texts.values()
    resolution = _resolve(subject, [f'-r "{path.absolute().as_posix()}"'], (), folder, keep, texts)
    pylock = only_hashed(path.name, resolution.pylock, contents.hashes)
    return replace(resolution, pylock=pylock, hashes=contents.hashes)


def _resolve(
    subject: str,
    dependencies: Sequence[str],
    constraints: Sequence[str],
    folder: Path,
    keep: Sequence[str],
    texts: Iterable[str],
) -> Resolution:
    """Choose versions and hashes with pip-compile; then ask pip which files it would install."""
    source, pinned = folder / "requirements.in", folder / "requirements.txt"
    bounds = folder / "constraints.txt"
    bounds.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    source.write_text("".join(f"{line}\n" for line in [*dependencies, "-c constraints.txt"]), encoding="utf-8")
    pinned.write_text("".join(f"{pin}\n" for pin in keep), encoding="utf-8")
    variables = {name for text in texts for name in _VARIABLE.findall(text)}
    secrets = {os.environ[name] for name in variables if os.environ.get(name)}
    options = ["--generate-hashes", "--allow-unsafe", "--no-header", "--no-annotate", "--strip-extras"]
    _run(subject, ["piptools", "compile", *options, "--output-file", pinned.name, source.name], folder, secrets)
    digests = set(_HASH.findall(pinned.read_text(encoding="utf-8")))
    report = folder / "report.json"
    options = ["--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed", "--no-deps"]
    options += ["--require-hashes", "--report", report.name]
    if digests:
        _run(subject, ["pip", "install", *options, "--requirement", pinned.name], folder, secrets)
    try:
        items = json.loads(report.read_bytes())["install"] if report.is_file() else []
        packages = [_package(subject, item, digests) for item in items]
    except (KeyError, TypeError, ValueError) as error:
        raise UvError(f"{subject}: pip's installation report cannot be read", repr(error)) from error
    pylock = Pylock(
        lock_version=Version("1.0"),
        created_by="pip-tools",
        requires_python=SpecifierSet(f"=={PYTHON}.*"),
        packages=packages,
    )
    return Resolution(subject=subject, pylock=pylock, locked=True, base=folder)


def settings() -> str:
    """Return pip's configuration, with its indexes and any secrets."""
    return "\n".join(read_pip_settings().values())


def _run(subject: str, command: Sequence[str], folder: Path, secrets: Collection[str]) -> None:
    # Without the folder of the code on the path, since its files are not modules. Questions get no answer.
    python = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-E", "-m"]
    variables = {"PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off", "NO_COLOR": "1", "COLUMNS": "10000"}
    code, out, err = process.run([*python, *command], cwd=folder, env=variables)
    if not code:
        return
    words = hidden(_last_words(f"{out}\n{err}"), secret_values(os.environ, secrets))
    if "from versions: none" in out + err:
        # pip only reports that an index refused to answer if it is told to report everything.
        options = ["--dry-run", "--ignore-installed", "--no-deps", "-vv", "--requirement", "requirements.in"]
        _, out, err = process.run([*python, "pip", "install", *options], cwd=folder, env=variables)
    refused = _UNAUTHORIZED.search(out + err)
    hint = "set the user and password of the index in pip.conf, netrc or a keyring" if refused else ""
    if refused:
        words = f"{words}\nThe index answered: {refused[0]}"
    raise UvError(f"{subject}: {command[0]} could not resolve its dependencies", words, hint)


def _last_words(text: str) -> str:
    """Return the message of a program, and of a traceback only its last line."""
    result: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("Traceback (most recent call last)"):
            inside = True
        elif not inside or not line.startswith((" ", "\t")):
            inside = inside and not line.strip()
            result.append(line)
    return "\n".join(line for line in result if line.strip() and line.strip() != "Aborted!")


def _package(subject: str, item: dict[str, Any], digests: set[str]) -> Package:
    info, about = item["download_info"], item["metadata"]
    url = str(info["url"])
    sha256 = str(info.get("archive_info", {}).get("hashes", {}).get("sha256", ""))
    if sha256 not in digests:
        raise not_as_locked(
            subject, [f"{about['name']}: pip would install a file whose digest pip-compile did not list"]
        )
    name, version = canonicalize_name(about["name"]), Version(about["version"])
    filename = url_filename(url)
    if filename.endswith(".whl"):
        wheel = PackageWheel(name=filename, url=url, hashes={"sha256": sha256})
        return Package(name=name, version=version, wheels=[wheel])
    return Package(name=name, version=version, sdist=PackageSdist(name=filename, url=url, hashes={"sha256": sha256}))
