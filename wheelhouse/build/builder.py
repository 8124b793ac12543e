"""Build wheels from source distributions, git repositories and folders; results are kept in the download cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.pylock import Package
from packaging.utils import canonicalize_name, parse_wheel_filename

from wheelhouse import atomic, files, process
from wheelhouse.build.backend import BackendError, build_wheel
from wheelhouse.build.build_settings import BuildSettings, build_settings, is_forbidden, is_required
from wheelhouse.build.git import checkout
from wheelhouse.errors import ArchiveError, BuildError, FileError, WheelError, redacted
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.hashes import all_normalized, difference
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.resolve.uv_settings import Settings
from wheelhouse.target import Target, this_platform
from wheelhouse.wheel import BUILT_FROM, Wheel, parse_filename, parse_metadata, url_filename

_NEEDS_GLIBC = re.compile(rb"\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)")
# Contents of a source folder that do not identify it: what tools and builds leave there. A build sees them, as with uv.
_NO_SOURCE = (
    "__pycache__",
    ".git",
    ".hg",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
)
_OF_BUILDS = ("build", "dist")
# Bytes of a source distribution; the largest published ones have a few hundred million.
_LARGEST_SOURCE = 1 << 30
_SDIST = re.compile(r".+\.(tar\.gz|tgz|tar\.bz2|tar\.xz|zip)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A source to build: a folder, or an archive whose project is in the folder `subdirectory`.

    `key` identifies it, `origin` describes it for people.
    """

    path: Path
    key: str
    origin: str
    subdirectory: str = ""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Builds packages without a wheel: the projects in `names`, or `everything`, and always direct references.

    `cache` is the download cache, `credentials` are those of indexes and repositories.
    """

    cache: Path
    names: frozenset[str] = frozenset()
    everything: bool = False
    credentials: Credentials = field(default_factory=Credentials)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def wants(self, package: Package, settings: Settings, *, has_wheel: bool) -> bool:
        """Return whether to build `package` with the `settings` of uv; `has_wheel` if a wheel fits."""
        if is_direct(package):
            return True
        if package.sdist is None:
            return False
        if is_required(package.name, settings):
            return True
        return not has_wheel and (self.everything or package.name in self.names)

    def build(
        self,
        package: Package,
        target: Target,
        resolution: Resolution,
        versions: Mapping[str, str],
    ) -> Wheel:
        """Return a wheel of `package` of `resolution` for `target`, which installs `versions` by project.

        Raises `BuildError`, also if the result does not fit, or is of another version than the locked one.
        """
        name = package.name
        if is_forbidden(name, resolution.settings):
            raise BuildError(name, "it must be built, which the setting no-build of uv forbids")
        settings = build_settings(name, resolution.settings, versions)
        with tempfile.TemporaryDirectory(prefix="source-") as folder:
            scratch = Path(folder)
            source = self._source(package, resolution, scratch)
            key = source.key
            if settings.key():
                key += f"-{settings.key()}"
            with self._guard:
                lock = self._locks.setdefault(key, threading.Lock())
            with lock:
                wheel = self._kept(key, "any")
                if wheel is None:
                    wheel = self._made(name, target, key, source, settings, scratch)
        version = parse_filename(wheel.name)[1]
        if package.version is not None and version != package.version:
            raise BuildError(
                name, f"its source builds version {version}, but the lock says {package.version}"
            )
        reason = misfit(wheel, target)
        if reason:
            raise BuildError(name, reason)
        return Wheel(
            filename=wheel.name,
            url=wheel.as_uri(),
            sha256=files.sha256(wheel),
            size=wheel.stat().st_size,
            origin=f"{BUILT_FROM} {source.origin}",
        )

    def _source(self, package: Package, resolution: Resolution, scratch: Path) -> _Source:
        """Return the source of `package`; what is fetched goes to `scratch`."""
        directory = package.directory
        if directory is not None:
            folder = files.real(resolution.base / directory.path / (directory.subdirectory or ""))
            # Built in place, as uv does: the source may depend on what is around it, such as a repository or links.
            return _Source(
                path=folder,
                key=_tree_digest(folder),
                origin=f"the folder {folder.name}",
            )
        if package.vcs is not None:
            place, key, origin = checkout(
                package.name,
                package.vcs,
                resolution.base,
                scratch,
                self.credentials,
                with_lfs=_uses_lfs(package.name, resolution.settings),
            )
            return _Source(
                path=place,
                key=key,
                origin=origin,
            )
        return self._downloaded(package, resolution, scratch)

    def _downloaded(self, package: Package, resolution: Resolution, scratch: Path) -> _Source:
        """Download the source distribution or archive of `package` to `scratch`, and compare its digests."""
        from wheelhouse.fetch.http import fetch  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

        sdist: Any = package.sdist or package.archive
        name = _archive_name(sdist)
        if not _SDIST.fullmatch(name) or "/" in name:
            raise BuildError(package.name, f"{name!r} is not a source distribution")
        url = sdist.url or files.real(resolution.base / str(sdist.path)).as_uri()
        path = scratch / name
        atomic.write(path, fetch(url, self.credentials, limit=_LARGEST_SOURCE))
        allowed = resolution.hashes.get(package.name, frozenset())
        fault = difference(path, all_normalized(sdist.hashes), allowed)
        if fault:
            raise BuildError(package.name, f"{name} {fault}")
        key = files.sha256(path)
        subdirectory = getattr(sdist, "subdirectory", None) or ""
        if subdirectory:
            key = hashlib.sha256(f"{key}#{subdirectory}".encode()).hexdigest()
        origin = name
        if not url.startswith("file:"):
            origin = redacted(url).partition("?")[0]
        return _Source(
            path=path,
            subdirectory=subdirectory,
            key=key,
            origin=origin,
        )

    def _made(
        self,
        name: str,
        target: Target,
        key: str,
        source: _Source,
        settings: BuildSettings,
        scratch: Path,
    ) -> Path:
        """Return the wheel of `source` for the Python of `target`, or for all, building it if necessary."""
        minor = str(target.request.series)
        kept = self._kept(key, minor)
        if kept is not None:
            return kept
        # With this Python first: most wheels serve all Pythons, and others may not be installed.
        wheel = self._run(name, source, settings, scratch / "first", sys.executable)
        if _is_pure(wheel):
            return self._keep(wheel, key, "any")
        here = this_platform()
        there = target.platform
        if (there.system, there.machine) != (here.system, here.machine):
            reason = f"it can only be built for this machine ({here.name}), not for {target}"
            raise BuildError(name, f"{reason}; run bundle on such a machine")
        if minor != f"{sys.version_info.major}.{sys.version_info.minor}":
            wheel = self._run(name, source, settings, scratch / "second", minor)
        # A wheel that is pure Python only for some Pythons does not serve all of them.
        return self._keep(wheel, key, minor)

    def _run(
        self,
        name: str,
        source: _Source,
        settings: BuildSettings,
        out: Path,
        python: str,
    ) -> Path:
        """Build `source` for `python` into the folder `out`; return the wheel."""
        secrets = self.credentials.values()
        try:
            wheel = build_wheel(source.path, source.subdirectory, out, python, settings, secrets)
        except BackendError as error:
            where = (
                ""
                if python == sys.executable
                else f" with Python {python} (which must be installed here)"
            )
            raise BuildError(name, f"its build{where} failed", str(error)) from error
        except ArchiveError as error:
            raise BuildError(name, f"its source {error.fact}") from error
        _check(wheel, name)
        return wheel

    def _keep(self, wheel: Path, key: str, python: str) -> Path:
        """Copy `wheel` to the cache; return the copy, or what another process has put there before."""
        place = self._folder(key, python)
        with atomic.building(place, replace=False) as folder:
            shutil.copyfile(wheel, folder / _tagged(wheel))
        return next(place.glob("*.whl"))

    def _kept(self, key: str, python: str) -> Path | None:
        """Return an earlier result, since two builds of the same source rarely give the same bytes."""
        return next(self._folder(key, python).glob("*.whl"), None)

    def _folder(self, key: str, python: str) -> Path:
        return self.cache / "built" / key / python


def _archive_name(sdist: Any) -> str:
    """Return the file name of a source distribution or archive."""
    name = getattr(sdist, "name", None)
    return name or url_filename(sdist.url or "") or Path(sdist.path or "").name


def _check(wheel: Path, name: str) -> None:
    """Raise `BuildError` unless a build has left a readable `wheel` of the project `name`."""
    try:
        if not stat.S_ISREG(wheel.lstat().st_mode):
            raise BuildError(name, f"its build wrote {wheel.name}, which is not a regular file")
        parse_metadata(wheel)
    except (WheelError, FileError, OSError) as error:
        raise BuildError(name, "its build wrote no readable wheel", str(error)) from error
    project = parse_filename(wheel.name)[0]
    if project != name:
        raise BuildError(name, f"its source builds a wheel of {project}")


def _uses_lfs(name: str, settings: Settings) -> bool:
    """Return whether `settings` of uv ask for the large files (git LFS) of the project `name`."""
    for project, source in settings.get("sources", {}).items():
        if canonicalize_name(project) != name:
            continue
        tables = source if isinstance(source, list) else [source]
        stated = [table["lfs"] for table in tables if "lfs" in table]
        if stated:
            return any(stated)
    return os.environ.get("UV_GIT_LFS", "").lower() in ("1", "true")


def _tagged(wheel: Path) -> str:
    """Return the name of `wheel` with a build tag from its digest.

    Other bytes get another name, if a folder changes but keeps its version, or if a source is built twice.
    """
    name, version, *tags = wheel.name.split("-")
    build = f"1{files.sha256(wheel)[:12]}"
    return "-".join([name, version, build, *tags[-3:]])


def _is_pure(wheel: Path) -> bool:
    return wheel.name.endswith("-none-any.whl")


def is_direct(package: Package) -> bool:
    """Return whether a requirement refers to the source of `package` directly."""
    if package.vcs is not None or package.directory is not None:
        return True
    archive = package.archive
    if archive is None:
        return False
    location = archive.url or archive.path or ""
    return not location.partition("?")[0].endswith(".whl")


def _tree_digest(folder: Path) -> str:
    """Return the digest of the sources in `folder`, and of the commit and tag, which may determine the version."""
    digest = hashlib.sha256()
    with files.explained(folder):
        next(
            folder.iterdir(), None
        )  # Raises an error for a folder that is missing, which `os.walk` does not.
        for path in _sources(folder):
            name = path.relative_to(folder).as_posix()
            digest.update(os.fsencode(f"{name}\0{files.sha256(path)}\n"))
    describe = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--long", "--tags"]
    with contextlib.suppress(OSError):  # Without git.
        _, commit, _ = process.run(describe)
        digest.update(commit.encode())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    """Yield the regular files below `folder` in a fixed order, following links, but each folder only once."""
    visited: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        real = os.path.realpath(here)
        if real in visited or (here / "pyvenv.cfg").is_file():
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not _is_left_over(here / name, folder))
        for name in sorted(names):
            path = here / name
            if path.is_file():
                yield path


def _is_left_over(path: Path, top: Path) -> bool:
    """Return whether the folder `path` in the source `top` was left there by a tool or a build."""
    if path.name in _NO_SOURCE or path.name.endswith(".egg-info"):
        return True
    if path.parent != top or path.name not in _OF_BUILDS:
        return False
    return not (path / "__init__.py").is_file()


def misfit(wheel: Path, target: Target) -> str | None:
    """Return why `wheel`, which was built here, does not fit `target`, or None."""
    tags = parse_wheel_filename(wheel.name)[-1]
    if tags.isdisjoint(target.tags):
        return f"the wheel built here ({wheel.name}) does not fit {target}; run bundle on such a machine"
    if target.platform.libc is None:
        return None
    kind, _, minor = target.platform.libc
    if kind != "glibc":
        return None
    needed = _needed_glibc(wheel)
    if needed <= minor:
        return None
    return f"the wheel built here needs glibc 2.{needed}, but {target} has 2.{minor}; run bundle on an older machine"


def _needed_glibc(wheel: Path) -> int:
    """Return the minor version of the glibc 2 that the libraries in `wheel` need, or 0."""
    needed = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so") or ".so." in name:
                minors = _NEEDS_GLIBC.findall(archive.read(name))
                needed = max([needed, *map(int, minors)])
    return needed
