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
from wheelhouse.resolve.pip_settings import read_pip_settings
from wheelhouse.resolve.requirements import only_hashed, read
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.secrets import hidden, secret_values
from wheelhouse.wheel import url_filename

# The only target for which they resolve.
PYTHON = ".".join(platform.python_version_tuple()[:2])
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_UNAUTHORIZED = re.compile(r"\b40[13] Client Error\b[^\n]{0,40}? for|\b40[13] Error|User for")
_TRACEBACK = "Traceback (most recent call last)"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def resolve(
    subject: str,
    dependencies: Sequence[str],
    constraints: Sequence[str],
    folder: Path,
    keep: Sequence[str] = (),
    secrets: Collection[str] = (),
) -> Resolution:
    """Resolve `dependencies` with pip's configuration, for this Python and platform, in the empty `folder`.

    Chooses versions and hashes with pip-compile; then asks pip which files it would install. The versions in `keep`
    ("name==version") are kept where possible; errors do not quote `secrets`. Raises `UvError`, `LockError`.
    """
    source = folder / "requirements.in"
    pinned = folder / "requirements.txt"
    _write_lines(folder / "constraints.txt", constraints)
    _write_lines(source, [*dependencies, "-c constraints.txt"])
    _write_lines(pinned, keep)
    options = [
        "--generate-hashes",
        "--allow-unsafe",
        "--no-header",
        "--no-annotate",
        "--strip-extras",
    ]
    command = ["piptools", "compile", *options, "--output-file", pinned.name, source.name]
    _run(subject, command, folder, secrets)
    digests = set(_HASH.findall(pinned.read_text(encoding="utf-8")))
    packages = []
    if digests:
        packages = _installed(subject, pinned, digests, secrets)
    pylock = Pylock(
        lock_version=Version("1.0"),
        created_by="pip-tools",
        requires_python=SpecifierSet(f"=={PYTHON}.*"),
        packages=packages,
    )
    return Resolution(
        subject=subject,
        pylock=pylock,
        locked=True,
        base=folder,
    )


def resolve_requirements(
    path: Path,
    subject: str,
    folder: Path,
    keep: Sequence[str] = (),
) -> Resolution:
    """Like `resolve` for a requirements file, respecting the hashes in it and in the files that it includes."""
    contents = read(path)
    if contents.invalid:
        raise not_as_locked(path.name, contents.invalid)
    variables = {name for text in contents.texts.values() for name in _VARIABLE.findall(text)}
    secrets = list(filter(None, map(os.environ.get, variables)))
    include = f'-r "{path.absolute().as_posix()}"'
    resolution = resolve(subject, [include], (), folder, keep, secrets)
    pylock = only_hashed(path.name, resolution.pylock, contents.hashes)
    return replace(resolution, pylock=pylock, hashes=contents.hashes)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _installed(
    subject: str,
    pinned: Path,
    digests: set[str],
    secrets: Collection[str],
) -> list[Package]:
    """Return the packages that pip would install from the requirements file `pinned`, which allows `digests`."""
    report = pinned.with_name("report.json")
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
    ]
    options += ["--require-hashes", "--report", report.name]
    command = ["pip", "install", *options, "--requirement", pinned.name]
    _run(subject, command, pinned.parent, secrets)
    if not report.is_file():
        return []
    try:
        items = json.loads(report.read_bytes())["install"]
        return [_package(subject, item, digests) for item in items]
    except (KeyError, TypeError, ValueError) as error:
        raise UvError(
            f"{subject}: pip's installation report cannot be read", repr(error)
        ) from error


def settings() -> str:
    """Return pip's configuration, with its indexes and any secrets."""
    return "\n".join(read_pip_settings().values())


def _run(
    subject: str,
    command: Sequence[str],
    folder: Path,
    secrets: Collection[str],
) -> None:
    """Run a module of this Python in `folder`. Raises `UvError` with what it says, without `secrets`."""
    code, words = _call(command, folder)
    if not code:
        return
    facts = hidden(_last_words(words), secret_values(os.environ, secrets))
    if "from versions: none" in words:
        # pip only reports that an index refused to answer if it is told to report everything.
        options = [
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "-vv",
            "--requirement",
            "requirements.in",
        ]
        _, words = _call(["pip", "install", *options], folder)
    hint = ""
    refused = _UNAUTHORIZED.search(words)
    if refused:
        facts = f"{facts}\nThe index answered: {refused[0]}"
        hint = "set the user and password of the index in pip.conf, netrc or a keyring"
    raise UvError(f"{subject}: {command[0]} could not resolve its dependencies", facts, hint)


def _call(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Return the exit code of a module of this Python, and what it prints. Questions get no answer."""
    # Without the folder of the code on the path, since its files are not modules.
    safe = "-P" if sys.version_info >= (3, 11) else "-E"
    variables = {
        "PIP_NO_INPUT": "1",
        "PIP_PROGRESS_BAR": "off",
        "NO_COLOR": "1",
        "COLUMNS": "10000",
    }
    code, out, err = process.run([sys.executable, safe, "-m", *command], cwd=folder, env=variables)
    return code, f"{out}\n{err}"


def _last_words(text: str) -> str:
    """Return the message of a program, and of a traceback only its last line."""
    result: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith(_TRACEBACK):
            inside = True
        if inside and line.startswith((_TRACEBACK, " ", "\t")):
            continue
        text = line.strip()
        inside = inside and not text
        if text and text != "Aborted!":
            result.append(line)
    return "\n".join(result)


def _package(subject: str, item: dict[str, Any], digests: set[str]) -> Package:
    url = str(item["download_info"]["url"])
    about = item["metadata"]
    sha256 = str(item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", ""))
    if sha256 not in digests:
        reason = f"{about['name']}: pip would install a file whose digest pip-compile did not list"
        raise not_as_locked(subject, [reason])
    package = Package(
        name=canonicalize_name(about["name"]),
        version=Version(about["version"]),
    )
    filename = url_filename(url)
    hashes = {"sha256": sha256}
    if filename.endswith(".whl"):
        wheel = PackageWheel(name=filename, url=url, hashes=hashes)
        return replace(package, wheels=[wheel])
    sdist = PackageSdist(name=filename, url=url, hashes=hashes)
    return replace(package, sdist=sdist)
