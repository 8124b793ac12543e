"""Archives of Python interpreters: from uv's downloads, from a Python mirror, or packed from an installed one."""

from __future__ import annotations

import gzip
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from packaging.version import InvalidVersion, Version

from wheelhouse import atomic, files, process, unpack
from wheelhouse.errors import MirrorError, UvError, redacted
from wheelhouse.resolve import uv
from wheelhouse.target import Target

_LIST = "downloads.json"
_FREE_THREADED = "freethreaded"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.tar\.(gz|xz|bz2)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SYSTEMS = {
    "Linux": "linux",
    "Windows": "windows",
    "Darwin": "darwin",
}
_LIBCS = {"glibc": "gnu", "musl": "musl"}
_MACHINES = {
    "AMD64": "x86_64",
    "ARM64": "aarch64",
    "arm64": "aarch64",
}
_NEEDS_GLIBC = re.compile(rb"\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)")
# Parts that nodes do not need: bytecode depends on times, the rest is for building and testing Python.
_LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|site-packages/.+|test|idlelib/idle_test|config-[^/]+)(/|$)|\.a$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive of CPython `version` with the top-level folder `python/`; `size` in bytes if known."""

    filename: str
    url: str
    sha256: str
    version: str
    size: int | None = None


# An object in JSON.
_Table = dict[str, Any]
# Returns the bytes at a URL.
_Fetch = Callable[[str], bytes]
# The version and URL of an archive, and its digest if it stands next to them.
_Found = tuple[str, str, str | None]


def find(target: Target, mirror: str | None, fetch: _Fetch) -> Archive:
    """Return the archive of the newest Python for `target`.

    `mirror` is a folder or URL with archives and a downloads.json in the format of uv's download-metadata.json.
    Without it, uv's built-in list is used, with the digests that are published next to its archives. `fetch` returns
    the bytes at a URL. Raises `MirrorError` (always for PyPy, whose archives have another layout and no digests), and
    the errors of `fetch`.
    """
    place = "uv's downloads"
    found = _listed(target)
    if mirror:
        place = _place(mirror)
        found = _mirrored(target, place, fetch)
    if target.request.implementation != "cpython":
        raise MirrorError(
            str(target),
            "PyPy cannot be included in a bundle",
            "install PyPy on the nodes instead",
        )
    newest = max(found, key=_version, default=None)
    if newest is None:
        raise MirrorError(
            str(target),
            f"no suitable archive in {redacted(place)}, or only one that needs a newer glibc",
            "use another Python, platform or mirror",
        )
    version, url, digest = newest
    filename = url.rpartition("/")[2].replace("%2B", "+")
    if not _SAFE.fullmatch(filename):
        raise MirrorError(place, f"lists the invalid archive name {filename!r}")
    if digest is None:
        digest = _published_digest(url, filename, fetch)
    if not _SHA256.fullmatch(digest):
        raise MirrorError(place, f"has no SHA-256 digest for {filename}")
    return Archive(
        filename=filename,
        url=url,
        sha256=digest,
        version=version,
    )


def _place(mirror: str) -> str:
    if "://" in mirror:
        return mirror.rstrip("/") + "/"
    return Path(mirror).absolute().as_uri() + "/"


def _version(found: _Found) -> Version:
    return Version(found[0])


def _published_digest(url: str, filename: str, fetch: _Fetch) -> str:
    """Return the digest of an archive in the SHA256SUMS next to it, or ""."""
    sums = fetch(urljoin(url, "SHA256SUMS")).decode(errors="replace")
    for line in sums.splitlines():
        words = line.split()
        if words[1:] in ([filename], [f"*{filename}"]):
            return words[0]
    return ""


def _mirrored(target: Target, place: str, fetch: _Fetch) -> Iterator[_Found]:
    """Yield the archives for `target` in a mirror."""
    url = urljoin(place, _LIST)
    if urlsplit(url).scheme == "file" and not _is_file(url):
        raise MirrorError(place, f"has no {_LIST}")
    try:
        for entry in json.loads(fetch(url)).values():
            version = "{major}.{minor}.{patch}".format(**entry) + (entry.get("prerelease") or "")
            if _is_suitable(entry, version, target):
                yield version, _inside(place, entry["url"]), str(entry.get("sha256") or "")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise MirrorError(
            place, f"its {_LIST} does not have the format of uv's list ({error!r})"
        ) from error


def _is_suitable(entry: _Table, version: str, target: Target) -> bool:
    """Return whether the archive of `version` that `entry` of a mirror describes is for `target`."""
    arch = entry["arch"]
    arch_variant = None
    if isinstance(arch, dict):
        arch_variant = arch.get("variant")
        arch = arch["family"]
    if entry["name"] != "cpython" or arch_variant:
        return False
    if entry.get("variant") != (_FREE_THREADED if target.request.free_threaded else None):
        return False
    if not _new_enough(target, entry.get("glibc")):
        return False
    return _fits(target, version, entry["os"], arch, entry["libc"])


def _inside(place: str, url: str) -> str:
    """Return the URL of an archive: in the mirror, even if its list was copied from another one."""
    here = urljoin(place, url.rpartition("/")[2])
    if _is_file(here):
        return here
    return urljoin(place, url)


def _is_file(url: str) -> bool:
    """Return whether `url` is that of a file on this machine that exists."""
    parts = urlsplit(url)
    return parts.scheme == "file" and Path(url2pathname(parts.path)).is_file()


def _listed(target: Target) -> Iterator[_Found]:
    """Yield the archives for `target` in uv's list."""
    for entry in uv.known_pythons(target.request):
        if entry["implementation"] != "cpython" or entry["variant"] not in (
            "default",
            _FREE_THREADED,
        ):
            continue
        system = entry["os"]
        if system == "macos":
            system = "darwin"
        if _fits(target, entry["version"], system, entry["arch"], entry["libc"]):
            yield entry["version"], entry["url"], None


def _new_enough(target: Target, glibc: int | None) -> bool:
    """Return whether an interpreter that needs glibc 2.`glibc` starts with the oldest glibc of `target`."""
    libc = target.platform.libc
    if not glibc or libc is None or libc[0] != "glibc":
        return True
    return libc[2] >= glibc


def _fits(
    target: Target,
    version: str,
    system: str,
    arch: str,
    libc: str,
) -> bool:
    platform = target.platform
    expected = "none"
    if platform.libc:
        expected = _LIBCS[platform.libc[0]]
    machine = _MACHINES.get(platform.machine, platform.machine)
    if (system, arch, libc) != (_SYSTEMS[platform.system], machine, expected):
        return False
    try:
        release = Version(version)
    except InvalidVersion:
        return False
    return not release.is_prerelease and f"{release}.".startswith(f"{target.request.version}.")


def pack(interpreters: Sequence[Path], folder: Path) -> Iterator[Path]:
    """Pack each of `interpreters` into an archive in `folder`, which becomes a mirror; yield the archives.

    Same interpreter, same bytes. Raises `UvError` if one is not a Python, or would not start elsewhere; `FileError`.
    """
    listed = folder / _LIST
    entries: _Table = {}
    for interpreter in interpreters:
        facts = _facts(interpreter)
        variant = f"+{_FREE_THREADED}" if facts["free_threaded"] else ""
        name = "cpython-{version}{variant}-{os}-{arch}-{libc}".format(variant=variant, **facts)
        path = folder / f"{name}.tar.gz"
        with files.explained(path):
            folder.mkdir(parents=True, exist_ok=True)
        glibc = _pack_movable(interpreter, facts, path)
        entries[name] = {**_entry(facts, path), "glibc": glibc}
        yield path
    if listed.is_file():
        entries = {**json.loads(listed.read_bytes()), **entries}
    text = json.dumps(entries, indent=1, sort_keys=True)
    atomic.write(listed, text.encode() + b"\n")


def _pack_movable(interpreter: Path, facts: _Table, path: Path) -> int:
    """Pack `interpreter` into the archive `path`, if it starts elsewhere; return the glibc that it needs, or 0."""
    prefix = Path(facts["prefix"])
    series = re.escape(facts["minor"])
    if facts["free_threaded"]:
        series += "t"
    partial = atomic.beside(path)
    try:
        glibc = _pack(prefix, partial, series)
        _require_movable(interpreter, prefix, partial)
        with files.explained(path):
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return glibc


def _entry(facts: _Table, path: Path) -> _Table:
    major, minor, patch = facts["version"].split(".")
    return {
        "name": "cpython",
        "arch": {"family": facts["arch"], "variant": None},
        "os": facts["os"],
        "libc": facts["libc"],
        "major": int(major),
        "minor": int(minor),
        "patch": int(patch),
        "prerelease": "",
        "url": path.name,
        "sha256": files.sha256(path),
        "variant": _FREE_THREADED if facts["free_threaded"] else None,
        "build": None,
    }


_INSTEAD = "pack a Python from python.org, pyenv or uv instead"
# Prints where a Python has its modules and, on Linux, where the library is that most of some Pythons is in.
_ASK_WHERE = """
import encodings, hashlib, json, sys, zlib
places = [sys.base_prefix, sys.base_exec_prefix, encodings.__file__]
if sys.platform == "linux":
    lines = open("/proc/self/maps", errors="surrogateescape").read().splitlines()
    places += [line.split(None, 5)[5] for line in lines if "/libpython" in line]
print(json.dumps(places))
"""
_ASK = """
import json, platform, sys
libc = "none"
if sys.platform == "linux":
    libc = "gnu" if platform.libc_ver()[0] == "glibc" else "musl"
machine = {"AMD64": "x86_64", "ARM64": "aarch64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
facts = {"os": {"win32": "windows"}.get(sys.platform, sys.platform), "arch": machine, "libc": libc}
facts["version"] = ".".join(map(str, sys.version_info[:3]))
facts["minor"] = ".".join(map(str, sys.version_info[:2]))
facts["implementation"] = sys.implementation.name
import site, sysconfig
facts["free_threaded"] = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
facts["packages"] = site.getsitepackages([sys.base_prefix])[0].rpartition("/")[2] if libc != "none" else "site-packages"
print(json.dumps({**facts, "prefix": sys.base_prefix}))
"""


def _facts(interpreter: Path) -> _Table:
    with files.explained(interpreter):
        code, out, err = process.run([interpreter, "-I", "-c", _ASK])
    if code:
        raise UvError(f"{interpreter} is not a Python 3", err.strip().rpartition("\n")[2])
    try:
        facts: _Table = json.loads(out)
    except ValueError:
        raise UvError(f"{interpreter} is not a Python 3", out.strip().rpartition("\n")[2]) from None
    if facts["implementation"] != "cpython":
        raise UvError(
            f"{interpreter} is {facts['implementation']}, but only CPython can be packed", ""
        )
    if facts["packages"] != "site-packages":
        fact = f"{interpreter} belongs to the system, which changed where it looks for packages"
        raise UvError(fact, "", _INSTEAD)
    return facts


def _require_movable(interpreter: Path, prefix: Path, archive: Path) -> None:
    """Raise `UvError` unless the Python in `archive`, packed from `prefix`, starts from another folder by itself."""
    with tempfile.TemporaryDirectory(prefix="python-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch).resolve()
        unpack.unpack(archive, folder, limit=unpack.LARGEST_INTERPRETER)
        python = folder / "python"
        program = python / ("python.exe" if sys.platform == "win32" else "bin/python3")
        if not program.exists():
            raise UvError(
                f"{interpreter} cannot be packed: {prefix} has no bin/python3 of its own",
                "",
                _INSTEAD,
            )
        # As jobs and the carried tool start it.
        environment = {"LD_LIBRARY_PATH": str(python / "lib")}
        code, out, err = process.run([program, "-I", "-c", _ASK_WHERE], env=environment)
        if code:
            raise UvError(f"{interpreter} would not start on another machine", err, _INSTEAD)
        for place in json.loads(out):
            if not Path(place).resolve().is_relative_to(python):
                raise UvError(
                    f"{interpreter} would not start on another machine: it needs {place}",
                    "",
                    _INSTEAD,
                )


def _require_inside(member: Path, prefix: Path) -> None:
    """Raise `UvError` if the link `member` leads out of the Python installed at `prefix`."""
    target = files.real(member)
    if not target.is_relative_to(files.real(prefix)):
        fact = f"{prefix} would not work on another machine: {member.relative_to(prefix)} is a link to {target}"
        raise UvError(fact, "", _INSTEAD)


def _pack(prefix: Path, path: Path, minor: str) -> int:
    """Write the interpreter installed at `prefix`, without packages, to the archive `path` as `python/`.

    Returns the minor version of the glibc that it needs, or 0.
    """
    glibc = 0
    with (
        files.explained(path),
        path.open("wb") as out,
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for member in _members(prefix, minor):
            if member.is_symlink():
                _require_inside(member, prefix)
            name = member.relative_to(prefix).as_posix()
            tar.add(
                member,
                f"python/{name}",
                recursive=False,
                filter=files.plain_member,
            )
            if member.suffix in (".so", "") or ".so." in member.name:
                needed = _NEEDS_GLIBC.findall(member.read_bytes())
                glibc = max([glibc, *map(int, needed)])
    return glibc


def _members(prefix: Path, minor: str) -> Iterator[Path]:
    """Yield the files and links of the interpreter installed at `prefix`, in a fixed order."""
    if sys.platform == "win32":
        folders = [prefix]
        of_python = ""
    else:
        folders = [prefix / "bin", prefix / "lib"]
        of_python = rf"bin/python(3|{minor}t?)?$|lib/(python{minor}t?/|libpython)"
    members = [member for folder in folders for member in folder.rglob("*")]
    for member in sorted(members):
        name = member.relative_to(prefix).as_posix()
        if not re.match(of_python, name) or _LEFT_OUT.search(name):
            continue
        if member.is_symlink() or not member.is_dir():
            yield member
