"""Failures that wheelhouse explains: data goes in, one sentence comes out."""

from __future__ import annotations

import difflib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_USERINFO = re.compile(r"(?<=://)[^/\s@]*(?:@[^/\s@]*)*@")
_QUERY = re.compile(r"(?<=\S)\?[^\s#'\">)]+(?=$|[\s#'\">)])")
# Bounded, and begun only where a word begins: else long words take quadratic time.
_URL = re.compile(r"(?<![a-z+])[a-z+]{1,20}://[^\s'\"<>]+", re.IGNORECASE)
# Lines of another program that are shown: of more, the first and the last.
_FIRST, _LAST, _LONGEST = 20, 40, 2000


def redacted(text: str) -> str:
    """Return `text` with user, password and query of every URL in it removed: each may be a secret."""
    # The first wherever a URL may end: a password may hold quotes.
    return _URL.sub(lambda url: _QUERY.sub("", url[0]), _USERINFO.sub("", text))


def _quoted(words: str) -> list[str]:
    """Return the lines of what another program said, as they stand below a line of ours."""
    lines = words.splitlines()
    left = len(lines) - _FIRST - _LAST
    if left > 0:
        lines = [*lines[:_FIRST], f"... ({left} lines left out)", *lines[-_LAST:]]
    return [f"  {redacted(line[:_LONGEST]).removeprefix('error: ')}".rstrip() for line in lines]


class WheelhouseError(Exception):
    """Base of every failure that wheelhouse explains."""


class FileFault(WheelhouseError):
    """The disk refused: full, not writable, gone."""

    def __init__(self, path: Path, fault: OSError) -> None:
        self.path = path
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.path}: {self.fault.strerror or self.fault}."


class DiskFull(WheelhouseError):
    """A disk has no room for what is to be written below `path`: `needed` bytes, where that is known."""

    def __init__(self, path: Path, needed: int | None = None) -> None:
        self.path = path
        self.needed = needed
        self.mount, self.free = _disk(path)

    def __str__(self) -> str:
        needed = "" if self.needed is None else f"{self.needed / 1e6:.1f} MB are needed and "
        return (
            f"{self.path}: no space left on the disk at {self.mount}: {needed}{self.free / 1e6:.1f} MB are free\n"
            "hint: free some space there, or choose another place (--output, BUNDLER_CACHE_DIR, TMPDIR)"
        )


def _disk(path: Path) -> tuple[Path, int]:
    """Return where the disk of `path` is mounted, and the bytes that are free there."""
    path = path.absolute()
    while path != path.parent and not (path.exists() and path.is_mount()):
        path = path.parent
    return path, shutil.disk_usage(path).free


class UnknownPlatform(WheelhouseError):
    """`name` is no platform that a target can have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = known

    def __str__(self) -> str:
        near = difflib.get_close_matches(self.name.lower(), self.known, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        return f"{self.name}: no such platform\nhint: {meant}`bundler targets` lists the platforms"


class UnknownPython(WheelhouseError):
    """`version` is no Python version that a target can have."""

    def __init__(self, version: str, reason: str) -> None:
        self.version = version
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.version}: {self.reason}. Give a Python as uv calls it, such as 3.12, 3.12.4, 3.13t or pypy3.10."


class UvFailed(WheelhouseError):
    """uv said no: its words are shown below a line of ours, and `hint` where we know more than it does."""

    def __init__(self, headline: str, words: str, hint: str = "") -> None:
        self.headline = headline
        self.words = words.strip()
        self.hint = hint

    def __str__(self) -> str:
        return "\n".join([self.headline, *_quoted(self.words), *([f"hint: {self.hint}"] if self.hint else [])])


class ResolverFailed(UvFailed):
    """pip-tools or pip said no."""


class UvMissing(WheelhouseError):
    """There is no uv to call."""

    def __str__(self) -> str:
        return "uv: not found beside this Python or on the PATH. Install it: pip install uv."


class BuildFailed(WheelhouseError):
    """No wheel could be built of a package that has none."""

    def __init__(self, name: str, reason: str, words: str = "") -> None:
        self.name = name
        self.reason = reason
        self.words = words.strip()

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {self.reason}", *_quoted(self.words)])


class StaleLock(WheelhouseError):
    """A lock lies beside the script and no longer fits it."""

    def __init__(self, lock: Path, command: str, changes: str = "") -> None:
        self.lock = lock
        self.command = command
        self.changes = changes.strip()

    def __str__(self) -> str:
        sentence = f"{self.lock}: does not fit what it locks any more. Renew it ({self.command}) or delete it."
        return "\n".join([sentence, *_quoted(self.changes)])


class UnusableLock(WheelhouseError):
    """The lock holds something that cannot be carried."""

    def __init__(self, subject: str, reasons: Iterable[str]) -> None:
        self.subject = subject
        self.reasons = sorted(reasons)

    def __str__(self) -> str:
        return "\n".join([f"{self.subject}: cannot be bundled as locked:", *(f"  {reason}" for reason in self.reasons)])


class PythonRefused(WheelhouseError):
    """A target's Python is not one that the script allows; `allowed` is one that is, if known."""

    def __init__(self, subject: str, requires_python: str, pythons: Iterable[str], allowed: str | None = None) -> None:
        self.subject = subject
        self.requires_python = requires_python
        self.pythons = sorted(pythons)
        self.allowed = allowed

    def __str__(self) -> str:
        hint = f"use --python {self.allowed}" if self.allowed else "use another --python"
        return (
            f"{self.subject}: requires-python is {self.requires_python}, which leaves out Python "
            f"{', '.join(self.pythons)}\nhint: {hint}, or widen requires-python"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A package of which no wheel fits a target, and what is published of it.

    `glibc` is the minor version of glibc 2 with which one would fit, `pythons` are the CPythons for which one fits.
    """

    project: str
    version: str
    reason: str
    has_source: bool = False
    has_wheels: bool = True
    glibc: int | None = None
    pythons: frozenset[str] = frozenset()


class NoWheels(WheelhouseError):
    """Packages of which no wheel fits a target; `can_build` says whether what is compiled here would.

    `versions` are those of all that the target needs, by project; `words` are what a resolver says of it.
    """

    def __init__(
        self,
        subject: str,
        target: str,
        misfits: Sequence[Misfit],
        versions: Mapping[str, str],
        *,
        can_build: bool = False,
    ) -> None:
        self.subject = subject
        self.target = target
        self.misfits = sorted(misfits, key=lambda misfit: (misfit.project, misfit.version))
        self.versions = versions
        self.words = ""
        self.can_build = can_build

    def __str__(self) -> str:
        names = [f"{misfit.project} {misfit.version}" for misfit in self.misfits]
        width = max(map(len, names))
        count = "1 package" if len(names) == 1 else f"{len(names)} packages"
        lines = [f"{self.subject}: no wheel of {count} fits {self.target}:"]
        lines += [f"  {name:{width}}   {misfit.reason}" for name, misfit in zip(names, self.misfits, strict=True)]
        lines += _quoted(self.words.strip())
        return "\n".join([*lines, *(f"hint: {hint}" for hint in self.hints())])

    def hints(self) -> list[str]:
        """Return what would help, the easiest first."""
        hints = []
        others = [misfit for misfit in self.misfits if misfit.pythons]
        pythons = frozenset.intersection(*(misfit.pythons for misfit in others)) if others else frozenset()
        if pythons and len(others) == len(self.misfits):
            hints.append(f"use --python {max(pythons, key=lambda minor: int(minor[2:]))}, for which there are wheels")
        glibcs = [misfit.glibc for misfit in self.misfits if misfit.glibc]
        if glibcs and len(glibcs) == len(self.misfits):
            hints.append(f"use a --platform with glibc 2.{max(glibcs)} or newer, if the nodes have that")
        options = " ".join(f"--build {misfit.project}" for misfit in self.misfits if misfit.has_source)
        if options and self.can_build:
            hints.append(f"build from source: {options}")
        elif options and not any(misfit.has_wheels for misfit in self.misfits):
            hints.append(f"if these are pure Python, build them here ({options}); else bundle on such a machine")
        return hints or ["constrain the versions in the script to those that have wheels"]


class DownloadsFailed(WheelhouseError):
    """Wheels that did not arrive whole; each with the place and the reason."""

    def __init__(self, faults: Iterable[tuple[str, str, str]]) -> None:
        self.faults = sorted(faults)

    def __str__(self) -> str:
        lines = ["Not downloaded:"]
        lines += [f"  {filename}: {redacted(reason)} ({redacted(url)})" for filename, url, reason in self.faults]
        return "\n".join([*lines, "What did arrive is kept; run the same command again."])


class BadWheel(WheelhouseError):
    """A file that is no wheel inside, whatever its name says."""

    def __init__(self, path: Path, fact: str) -> None:
        self.path = path
        self.fact = fact

    def __str__(self) -> str:
        return f"{self.path}: {self.fact}. Find out where it comes from; the index must not carry it."


class BadArchive(WheelhouseError):
    """An archive that cannot be unpacked, or must not be."""

    def __init__(self, path: Path, fact: str, hint: str = "find out where it comes from") -> None:
        self.path = path
        self.fact = fact
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.path}: {self.fact}\nhint: {self.hint}"


class BadMirror(WheelhouseError):
    """A mirror of Python archives that is not as uv's mirrors are."""

    def __init__(self, place: str, fact: str) -> None:
        self.place = place
        self.fact = fact

    def __str__(self) -> str:
        return f"{redacted(self.place)}: {self.fact}. Fix the mirror, or choose another --python-mirror."


class NoInterpreter(WheelhouseError):
    """No archive of a Python for a target."""

    def __init__(self, target: str, place: str) -> None:
        self.target = target
        self.place = place

    def __str__(self) -> str:
        if "pypy" in self.target:
            return f"{self.target}: a bundle cannot carry PyPy. Leave out --include-python; nodes must have it."
        return (
            f"{self.target}: there is no archive of it in {redacted(self.place)}, or only of one that needs a newer "
            "glibc. Choose another --python, --platform or --python-mirror; `bundler pack-python` makes a mirror."
        )


class BadCertificates(WheelhouseError):
    """The certificates that the environment names cannot be used."""

    def __init__(self, path: str, fault: OSError) -> None:
        self.path = path
        self.fault = fault

    def __str__(self) -> str:
        return (
            f"{self.path}: cannot be read as certificates ({self.fault.strerror or self.fault}). "
            "Fix or unset SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CLIENT_CERT."
        )


class StoreConflict(WheelhouseError):
    """File names that the store already holds with other bytes."""

    def __init__(self, store: Path, names: Iterable[tuple[str, str, str]]) -> None:
        self.store = store
        self.names = sorted(names)

    def __str__(self) -> str:
        lines = [f"{self.store}: holds other bytes under the same name, which uv and pip would mix up:"]
        lines += [f"  {name}   there sha256 {there[:16]}..., here {here[:16]}..." for name, there, here in self.names]
        return "\n".join([*lines, "Nothing was published. Find out which is genuine, or publish into another store."])


class NotAStore(WheelhouseError):
    """The destination holds something that is not a store of ours, or of a newer format."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}. Name a store, an empty folder, or one that does not exist yet."
