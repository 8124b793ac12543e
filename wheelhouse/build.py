"""Build wheels from source distributions, git repositories and folders; results are kept in the download cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import sys
import tempfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name, parse_wheel_filename

from wheelhouse import atomic, files
from wheelhouse.backend import BackendError, build_wheel
from wheelhouse.credentials import Credentials
from wheelhouse.errors import ArchiveError, BuildError, FileError, WheelError, redacted
from wheelhouse.git import checkout
from wheelhouse.target import this_platform
from wheelhouse.wheel import BUILT_FROM, Wheel, parse_filename, parse_metadata, url_filename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.pylock import Package

    from wheelhouse.target import Target

_NEEDS_GLIBC = re.compile(rb"\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)")
# Contents of a source folder that are not sources.
_NO_SOURCE = (".git", ".hg", ".venv", "venv", "__pycache__", "build", "dist", "node_modules", ".tox", ".nox")
_COPIED = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
# Bytes of a source distribution; the largest published ones have a few hundred million.
_LARGEST_SOURCE = 1 << 30
_SDIST = re.compile(r".+\.(tar\.gz|tgz|tar\.bz2|tar\.xz|zip)")


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Builds packages without a wheel: the projects in `names`, or `everything`, and always direct references.

    `cache` is the download cache. `indexes` are environment variables that tell uv where build requirements come
    from; not options, since everyone can see those, and URLs may contain passwords. `credentials` are those of
    indexes and repositories.
    """

    cache: Path
    names: frozenset[str] = frozenset()
    everything: bool = False
    indexes: Mapping[str, str] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def wants(self, package: Package) -> bool:
        """Return whether to build `package`, for which no wheel fits."""
        return is_direct(package) or (
            package.sdist is not None and (self.everything or canonicalize_name(package.name) in self.names)
        )

    def build(self, package: Package, target: Target, base: Path) -> Wheel:
        """Return a wheel of `package` for `target`; paths in `package` are relative to `base`.

        Raises `BuildError`, also if the result does not fit.
        """
        with tempfile.TemporaryDirectory(prefix="source-") as scratch:
            source, key, origin = self._source(package, base, Path(scratch))
            with self._guard:
                lock = self._locks.setdefault(key, threading.Lock())
            with lock:
                wheel = self._kept(key, "any") or self._made(package, target, key, source, Path(scratch))
        reason = misfit(wheel, target)
        if reason:
            raise BuildError(str(package.name), reason)
        data = files.sha256(wheel)
        return Wheel(
            filename=wheel.name,
            url=wheel.as_uri(),
            sha256=data,
            size=wheel.stat().st_size,
            origin=f"{BUILT_FROM} {origin}",
        )

    def _made(self, package: Package, target: Target, key: str, source: Path, scratch: Path) -> Path:
        """Return the wheel of `source` for the Python of `target`, or for all, building it if necessary."""
        minor = str(target.request.series)
        result = self._kept(key, minor)
        if result is None:
            # With this Python first: most wheels serve all Pythons, and others may not be installed.
            wheel = self._run(package, source, scratch / "first", sys.executable)
            own = f"{sys.version_info.major}.{sys.version_info.minor}"
            if not _is_pure(wheel):
                here = this_platform()
                if (target.platform.system, target.platform.machine) != (here.system, here.machine):
                    reason = f"it can only be built for this machine ({here.name}), not for {target}"
                    raise BuildError(str(package.name), f"{reason}; run bundle on such a machine")
                if own != minor:
                    wheel = self._run(package, source, scratch / "second", minor)
            # A wheel that is pure Python only for some Pythons does not serve all of them.
            python = "any" if _is_pure(wheel) and wheel.parent.name == "first" else minor
            with atomic.building(self._folder(key, python), replace=False) as folder:
                shutil.copyfile(wheel, folder / _tagged(wheel))
            result = self._kept(key, python)
        assert result is not None  # noqa: S101 - it was just built
        return result

    def _run(self, package: Package, source: Path, out: Path, python: str) -> Path:
        """Build `source` for `python` into the folder `out`; return the wheel."""
        secrets = self.credentials.values()
        try:
            wheel = build_wheel(source, out, python, self.indexes, secrets)
        except BackendError as error:
            where = "" if python == sys.executable else f" with Python {python} (which must be installed here)"
            raise BuildError(str(package.name), f"its build{where} failed", str(error)) from error
        except ArchiveError as error:
            raise BuildError(str(package.name), f"its source {error.fact}") from error
        try:
            if not stat.S_ISREG(wheel.lstat().st_mode):
                raise BuildError(str(package.name), f"its build wrote {wheel.name}, which is not a regular file")
            parse_metadata(wheel)
        except (WheelError, FileError, OSError) as error:
            raise BuildError(str(package.name), "its build wrote no readable wheel", str(error)) from error
        project = parse_filename(wheel.name)[0]
        if project != canonicalize_name(package.name):
            raise BuildError(str(package.name), f"its source builds a wheel of {project}")
        return wheel

    def _folder(self, key: str, python: str) -> Path:
        return self.cache / "built" / key / python

    def _kept(self, key: str, python: str) -> Path | None:
        """Return an earlier result, since two builds of the same source rarely give the same bytes."""
        return next(self._folder(key, python).glob("*.whl"), None)

    def _source(self, package: Package, base: Path, scratch: Path) -> tuple[Path, str, str]:
        """Return the path of the source of `package`, its identity, and its description."""
        if package.directory is not None:
            folder = (base / package.directory.path / (package.directory.subdirectory or "")).resolve()
            source = scratch / "tree"
            with files.explained(folder):
                shutil.copytree(folder, source, ignore=_not_copied, symlinks=True)
            return source, _tree_digest(source), f"the folder {folder.name}"
        if package.vcs is not None:
            return checkout(package, base, scratch, self.credentials)
        sdist: Any = package.sdist or package.archive
        name = getattr(sdist, "name", None) or url_filename(sdist.url or "") or Path(sdist.path or "").name
        sha256 = sdist.hashes.get("sha256")
        if not _SDIST.fullmatch(name) or "/" in name:
            raise BuildError(str(package.name), f"{name!r} is not a source distribution")
        from wheelhouse.http import fetch  # Takes a tenth of a second to import, and is rarely needed.

        url = sdist.url or (base / str(sdist.path)).resolve().as_uri()
        data = fetch(url, self.credentials, limit=_LARGEST_SOURCE)
        digest = hashlib.sha256(data).hexdigest()
        if sha256 is not None and digest != sha256:
            raise BuildError(str(package.name), f"{name} has the digest {digest}, but the lock says {sha256}")
        source = scratch / name
        atomic.write(source, data)
        return source, digest, name if url.startswith("file:") else redacted(url).partition("?")[0]


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Return the entries that are not sources, and those that are neither file nor folder, such as pipes."""
    special = {name for name in names if stat.S_IFMT(Path(folder, name).lstat().st_mode) not in _COPIED}
    return special | set(shutil.ignore_patterns(*_NO_SOURCE, "*.egg-info")(folder, names))


def _tagged(wheel: Path) -> str:
    """Return the name of `wheel` with a build tag from its digest.

    Other bytes get another name, if a folder changes but keeps its version, or if a source is built twice.
    """
    name, version, *tags = wheel.name.split("-")
    return "-".join([name, version, f"1{files.sha256(wheel)[:12]}", *tags[-3:]])


def _is_pure(wheel: Path) -> bool:
    return wheel.name.endswith("-none-any.whl")


def is_direct(package: Package) -> bool:
    """Return whether a requirement refers to the source of `package` directly."""
    archive = package.archive
    is_wheel = archive is not None and (archive.url or archive.path or "").partition("?")[0].endswith(".whl")
    return package.vcs is not None or package.directory is not None or (archive is not None and not is_wheel)


def _tree_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{files.sha256(path)}\n".encode())
    return digest.hexdigest()


def misfit(wheel: Path, target: Target) -> str | None:
    """Return why `wheel`, which was built here, does not fit `target`, or None."""
    if not parse_wheel_filename(wheel.name)[-1] & set(target.tags):
        return f"the wheel built here ({wheel.name}) does not fit {target}; run bundle on such a machine"
    libc = target.platform.libc
    needed = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so") or ".so." in name:
                needed = max([needed, *map(int, _NEEDS_GLIBC.findall(archive.read(name)))])
    if libc and libc[0] == "glibc" and needed > libc[2]:
        return (
            f"the wheel built here needs glibc 2.{needed}, but {target} has 2.{libc[2]}; run bundle on an older machine"
        )
    return None
