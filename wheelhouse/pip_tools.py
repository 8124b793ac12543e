"""Resolving with pip-tools and pip, for sites where only these are configured (pip.conf, PIP_*).

They evaluate markers and choose wheels for the Python and the platform that they run on, and for no other
(pip #11664), so what comes out is for this machine.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse import process
from wheelhouse.errors import ResolverFailed, UnusableLock
from wheelhouse.pip_settings import read_pip_settings
from wheelhouse.resolution import Resolution
from wheelhouse.wheel import url_filename

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The only one that they resolve for.
PYTHON = ".".join(platform.python_version_tuple()[:2])
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def resolve(
    subject: str, dependencies: Sequence[str], constraints: Sequence[str], folder: Path, keep: Sequence[str] = ()
) -> Resolution:
    """Resolve `dependencies` as pip is configured to, for this Python and platform; `folder` is an empty one.

    The versions in `keep` ("name==version") stand as far as they can.

    pip-compile chooses versions and gives the hashes of their files; pip then says which file it would install, under
    those hashes. Raises `ResolverFailed`, `UnusableLock`.
    """
    wanted, pinned = folder / "requirements.in", folder / "requirements.txt"
    bounds = folder / "constraints.txt"
    bounds.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    wanted.write_text("".join(f"{line}\n" for line in [*dependencies, "-c constraints.txt"]), encoding="utf-8")
    pinned.write_text("".join(f"{pin}\n" for pin in keep), encoding="utf-8")
    options = ["--quiet", "--generate-hashes", "--allow-unsafe", "--no-header", "--no-annotate", "--strip-extras"]
    _run(subject, ["piptools", "compile", *options, "--output-file", pinned.name, wanted.name], folder)
    known = set(_HASH.findall(pinned.read_text(encoding="utf-8")))
    report = folder / "report.json"
    options = ["--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed", "--no-deps"]
    options += ["--require-hashes", "--report", report.name]
    if known:
        _run(subject, ["pip", "install", *options, "--requirement", pinned.name], folder)
    found = json.loads(report.read_bytes())["install"] if report.is_file() else []
    pylock = Pylock(
        lock_version=Version("1.0"),
        created_by="pip-tools",
        requires_python=SpecifierSet(f"=={PYTHON}.*"),
        packages=[_package(subject, item, known) for item in found],
    )
    return Resolution(subject=subject, pylock=pylock, locked=True, base=folder)


def settings() -> str:
    """Return what pip is configured to, with its indexes and whatever secrets are in them."""
    return "\n".join(read_pip_settings().values())


def _run(subject: str, command: Sequence[str], folder: Path) -> None:
    # Without its own folder on the path: what lies there is no module.
    code, out, err = process.run(
        [sys.executable, "-P" if sys.version_info >= (3, 11) else "-E", "-m", *command], cwd=folder
    )
    if code:
        raise ResolverFailed(f"{subject}: {command[0]} could not resolve its dependencies.", err or out)


def _package(subject: str, item: dict[str, Any], known: set[str]) -> Package:
    info, about = item["download_info"], item["metadata"]
    url = str(info["url"])
    sha256 = str(info.get("archive_info", {}).get("hashes", {}).get("sha256", ""))
    if sha256 not in known:
        raise UnusableLock(
            subject, [f"{about['name']}: pip would install a file whose digest pip-compile did not name"]
        )
    name, version = canonicalize_name(about["name"]), Version(about["version"])
    filename = url_filename(url)
    if filename.endswith(".whl"):
        wheel = PackageWheel(name=filename, url=url, hashes={"sha256": sha256})
        return Package(name=name, version=version, wheels=[wheel])
    return Package(name=name, version=version, sdist=PackageSdist(name=filename, url=url, hashes={"sha256": sha256}))
