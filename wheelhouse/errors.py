"""Failures that wheelhouse explains: those that somebody catches, or that carry data, have a class of their own."""

from __future__ import annotations

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


def quoted(words: str) -> list[str]:
    """Return the lines of what another program said, cut down and without secrets, as facts of an error."""
    lines = words.strip().splitlines()
    left = len(lines) - _FIRST - _LAST
    if left > 0:
        lines = [*lines[:_FIRST], f"... ({left} lines left out)", *lines[-_LAST:]]
    return [redacted(line[:_LONGEST]).removeprefix("error: ").rstrip() for line in lines]


class WheelhouseError(Exception):
    """A failure that is explained: `message` says in one line what is wrong, and `hint` what to do about it.

    `facts` are lines below the message, such as all files that it is about.
    """

    def __init__(self, message: str, *, facts: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.facts = list(facts)
        self.hint = hint

    def __str__(self) -> str:
        hints = [f"hint: {self.hint}"] if self.hint else []
        return "\n".join([self.message, *(f"  {fact}".rstrip() for fact in self.facts), *hints])


class FileError(WheelhouseError):
    """The disk refused: not writable, gone, in the way."""

    def __init__(self, path: Path, fault: OSError) -> None:
        super().__init__(f"{path}: {fault.strerror or fault}")
        self.path = path
        self.fault = fault


def disk_full(path: Path, needed: int | None = None) -> WheelhouseError:
    """Return the failure of a disk without room for what goes below `path`: `needed` bytes, where that is known."""
    mount = path.absolute()
    while mount != mount.parent and not (mount.exists() and mount.is_mount()):
        mount = mount.parent
    free = shutil.disk_usage(mount).free
    wanted = "" if needed is None else f"{needed / 1e6:.1f} MB are needed and "
    return WheelhouseError(
        f"{path}: no space left on the disk at {mount}: {wanted}{free / 1e6:.1f} MB are free",
        hint="free some space there, or choose another place (--output, BUNDLER_CACHE_DIR, TMPDIR)",
    )


class PythonRequestError(WheelhouseError):
    """A text that names no Python that a target can have."""

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(
            f"{version}: {reason}", hint="give a Python as uv names it, such as 3.12, 3.12.4, 3.13t or pypy3.10"
        )


class UvError(WheelhouseError):
    """uv, or another program that resolves, refused; `words` are its own."""

    def __init__(self, message: str, words: str, hint: str = "") -> None:
        super().__init__(message, facts=quoted(words), hint=hint)
        self.words = words.strip()


class BuildError(WheelhouseError):
    """No wheel could be built of the package `name`."""

    def __init__(self, name: str, reason: str, words: str = "") -> None:
        super().__init__(f"{name}: {reason}", facts=quoted(words))
        self.name = name
        self.reason = reason


class LockError(WheelhouseError):
    """A lock that is out of date, or that holds something that cannot be carried."""


def not_as_locked(subject: str, reasons: Iterable[str]) -> LockError:
    """Return the failure of what `subject` locks, all `reasons` at once."""
    return LockError(f"{subject}: cannot be bundled as locked:", facts=sorted(reasons))


def python_refused(
    subject: str, requires_python: str, pythons: Iterable[str], allowed: str | None = None
) -> WheelhouseError:
    """Return the failure of targets whose `pythons` a script does not allow; `allowed` is one that it does."""
    hint = f"use --python {allowed}" if allowed else "use another --python"
    return WheelhouseError(
        f"{subject}: requires-python is {requires_python}, which leaves out Python {', '.join(sorted(pythons))}",
        hint=f"{hint}, or widen requires-python",
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


class NoWheelsError(WheelhouseError):
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
        count = "1 package" if len(misfits) == 1 else f"{len(misfits)} packages"
        super().__init__(f"{subject}: no wheel of {count} fits {target}:")
        self.misfits = sorted(misfits, key=lambda misfit: (misfit.project, misfit.version))
        self.versions = versions
        self.words = ""
        self.can_build = can_build

    def __str__(self) -> str:
        names = [f"{misfit.project} {misfit.version}" for misfit in self.misfits]
        width = max(map(len, names))
        lines = [f"{name:{width}}   {misfit.reason}" for name, misfit in zip(names, self.misfits, strict=True)]
        lines += quoted(self.words)
        return "\n".join(
            [self.message, *(f"  {line}".rstrip() for line in lines), *(f"hint: {hint}" for hint in self.hints())]
        )

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


class DownloadError(WheelhouseError):
    """Files that did not arrive whole: (file name, URL, reason) of each."""

    def __init__(self, faults: Iterable[tuple[str, str, str]]) -> None:
        self.faults = sorted(faults)
        super().__init__(
            "not downloaded:",
            facts=[f"{name}: {redacted(reason)} ({redacted(url)})" for name, url, reason in self.faults],
            hint="run the same command again; files that arrived are kept",
        )


class WheelError(WheelhouseError):
    """A file that is no wheel inside, whatever its name says."""

    def __init__(self, path: Path, fact: str) -> None:
        super().__init__(f"{path}: {fact}", hint="find out where it comes from; the index must not carry it")
        self.path = path
        self.fact = fact


class ArchiveError(WheelhouseError):
    """An archive that cannot be unpacked, or must not be."""

    def __init__(self, path: Path, fact: str, hint: str = "find out where it comes from") -> None:
        super().__init__(f"{path}: {fact}", hint=hint)
        self.path = path
        self.fact = fact


class MirrorError(WheelhouseError):
    """A Python mirror that is not as uv's are, or that lacks what a target needs."""

    def __init__(self, place: str, fact: str, hint: str = "fix the mirror, or choose another --python-mirror") -> None:
        super().__init__(f"{redacted(place)}: {fact}", hint=hint)


class StoreError(WheelhouseError):
    """A folder that is no store of ours, or a store that holds other bytes under the same name."""
