"""Expected failures of wheelhouse. Errors that somebody catches or reads have a class."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# With fewer free ones, a file system cannot hold more files.
_FEW_INODES = 16
_USERINFO = re.compile(r"(?<=://)[^/\s@]*(?:@[^/\s@]*)*@")
_QUERY = re.compile(r"(?<=\S)\?[^\s#'\">)]+(?=$|[\s#'\">)])")
# Bounded, and only at the start of a word; otherwise long words would take quadratic time.
_URL = re.compile(r"(?<![a-z+])[a-z+]{1,20}://[^\s'\"<>]+", re.IGNORECASE)
# What a server may repeat of a request: a login, as in RFC 7617 and 6750.
_LOGIN = re.compile(r"\b(basic|bearer|token)([:\s]+)([A-Za-z0-9+/=._~-]{4,4000})", re.IGNORECASE)
# Lines of another program's output to show; of a longer output, the first and last ones.
_FIRST, _LAST, _LONGEST = 20, 40, 2000


def redacted(text: str) -> str:
    """Return `text` without logins, and without the user, password and query of every URL in it."""
    # User and password first, since a password may contain quotes.
    text = _USERINFO.sub("", text)
    text = _URL.sub(_without_query, text)
    return _LOGIN.sub(_without_login, text)


def _without_query(url: re.Match[str]) -> str:
    return _QUERY.sub("", url[0])


def _without_login(login: re.Match[str]) -> str:
    """Return the words of `login`, with asterisks for a secret after its scheme; one of a sentence stays."""
    scheme, space, word = login.groups()
    is_secret = False
    if scheme.lower() == "basic":
        bare = word.rstrip("=")
        with contextlib.suppress(ValueError):
            is_secret = b":" in base64.b64decode(bare + "=" * (-len(bare) % 4))
    else:
        is_secret = any(not char.isalpha() for char in word.rstrip(".="))
    return f"{scheme}{space}***" if is_secret else login[0]


def quoted(words: str) -> list[str]:
    """Return the output of another program as facts of an error: shortened, and without secrets."""
    lines = words.strip().splitlines()
    omitted = len(lines) - _FIRST - _LAST
    if omitted > 0:
        lines[_FIRST:-_LAST] = [f"... ({omitted} lines left out)"]
    facts = []
    for line in lines:
        fact = redacted(line[:_LONGEST])
        facts.append(fact.removeprefix("error: ").rstrip())
    return facts


class WheelhouseError(Exception):
    """An expected failure: `message` says in one sentence what is wrong, and `hint` what to do.

    `facts` are lines below the message, such as the affected files.
    """

    def __init__(self, message: str, *, facts: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.facts = list(facts)
        self.hint = hint

    def lines(self) -> list[str]:
        """Return the message and the facts."""
        return [self.message, *(f"  {fact}".rstrip() for fact in self.facts)]

    def __str__(self) -> str:
        lines = self.lines()
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class FileError(WheelhouseError):
    """A failed access to a file or folder."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror or error}")
        self.path = path
        self.error = error


def disk_full(path: Path, needed: int | None = None) -> WheelhouseError:
    """Return the error for a full disk at `path`, with the `needed` bytes if known."""
    mount = path.absolute()
    while mount != mount.parent and not (mount.exists() and mount.is_mount()):
        mount = mount.parent
    if hasattr(os, "statvfs"):
        status = os.statvfs(mount)
        # What failed may have freed some since.
        if status.f_files and status.f_favail < _FEW_INODES:
            return WheelhouseError(
                f"{path}: the disk at {mount} cannot hold more files (no inodes left)",
                hint="delete some files there, or use another disk",
            )
    room = f"{shutil.disk_usage(mount).free / 1e6:.1f} MB free"
    if needed is not None:
        room = f"{needed / 1e6:.1f} MB needed, {room}"
    return WheelhouseError(
        f"{path}: no space left on the disk at {mount} ({room})",
        hint="free some space there, or use another disk",
    )


class PythonRequestError(WheelhouseError):
    """An invalid Python version for a target."""

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(
            f"{version} {reason}",
            hint="use a Python version such as 3.12, 3.12.4, 3.13t or pypy3.10",
        )


class UvError(WheelhouseError):
    """A failure of uv or of another resolver; `words` are its output."""

    def __init__(self, message: str, words: str, hint: str = "") -> None:
        super().__init__(message, facts=quoted(words), hint=hint)
        self.words = words.strip()


class BuildError(WheelhouseError):
    """A failure to build a wheel of the package `name`."""

    def __init__(self, name: str, reason: str, words: str = "") -> None:
        super().__init__(f"{name}: {reason}", facts=quoted(words))


class LockError(WheelhouseError):
    """A lock file that is out of date, or that contains something that cannot be bundled."""


def not_as_locked(subject: str, reasons: Iterable[str]) -> LockError:
    """Return the error for the locked packages of `subject`, with all `reasons`."""
    return LockError(
        f"{subject}: the locked packages cannot be bundled",
        facts=sorted(reasons),
    )


def python_refused(subject: str, requires_python: str, pythons: Iterable[str]) -> WheelhouseError:
    """Return the error for `pythons` that a script does not allow."""
    return WheelhouseError(
        f"{subject}: requires-python {requires_python} excludes Python {', '.join(sorted(pythons))}",
        hint="use another Python, or change requires-python",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A package without a wheel for a target, and what is published instead.

    `glibc` is the minor version of glibc 2 with which a wheel would fit, `pythons` are CPythons with a wheel.
    """

    project: str
    version: str
    reason: str
    has_source: bool = False
    has_wheels: bool = True
    glibc: int | None = None
    pythons: frozenset[str] = frozenset()


class NoWheelsError(WheelhouseError):
    """Packages without a wheel for a target; `can_build` says whether a wheel that is compiled here would fit.

    `versions` are those of all packages of the target by project; `words` are the output of a resolver.
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
        self.misfits = sorted(misfits, key=lambda misfit: (misfit.project, misfit.version))
        names = [f"{misfit.project} {misfit.version}" for misfit in self.misfits]
        width = max(map(len, names))
        super().__init__(
            f"{subject}: no wheel of {count} fits {target}",
            facts=[
                f"{name:{width}}   {misfit.reason}"
                for name, misfit in zip(names, self.misfits, strict=True)
            ],
            hint="allow only versions with wheels, or build from source",
        )
        self.versions = versions
        self.words = ""
        self.can_build = can_build

    def lines(self) -> list[str]:
        """Return the message, with one line for each package, and the output of the resolver."""
        return [
            *super().lines(),
            *(f"  {line}".rstrip() for line in quoted(self.words)),
        ]


class DownloadError(WheelhouseError):
    """Failed downloads: `errors` are (file name, URL, reason) of each."""

    def __init__(self, errors: Iterable[tuple[str, str, str]]) -> None:
        self.errors = sorted(errors)
        count = "1 file" if len(self.errors) == 1 else f"{len(self.errors)} files"
        super().__init__(
            f"{count} could not be downloaded",
            facts=[
                f"{name}: {redacted(reason)} ({redacted(url)})" for name, url, reason in self.errors
            ],
            hint="run the command again; completed files are kept",
        )


class WheelError(WheelhouseError):
    """A file that is not a valid wheel."""

    def __init__(self, path: Path, fact: str) -> None:
        super().__init__(
            f"{path}: {fact}",
            hint="find out where it comes from, and remove it from the index",
        )


class InvalidWheelsError(WheelhouseError):
    """Several files that are not valid wheels."""

    def __init__(self, errors: Sequence[WheelError]) -> None:
        super().__init__(
            f"{len(errors)} files are not valid wheels",
            facts=[error.message for error in errors],
            hint="find out where they come from, and remove them",
        )


class ArchiveError(WheelhouseError):
    """An invalid or unsafe archive: `fact` says what is wrong with it."""

    def __init__(self, path: Path, fact: str, hint: str = "find out where it comes from") -> None:
        super().__init__(f"{path}: {fact}", hint=hint)
        self.fact = fact


class MirrorError(WheelhouseError):
    """A Python mirror that is invalid, or has no suitable Python."""

    def __init__(
        self,
        place: str,
        fact: str,
        hint: str = "fix the mirror, or use another one",
    ) -> None:
        super().__init__(f"{redacted(place)}: {fact}", hint=hint)


class StoreError(WheelhouseError):
    """A folder that is not a store, or a store with a different file of the same name."""


class NoStoreError(StoreError):
    """Something other than a store at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: is not a store")
        self.path = path


class ConflictError(StoreError):
    """A file with the name of a different one in a store."""


class PermissionsError(StoreError):
    """A store in which this user may not write, though its group may: `owner` can let `group` write in `folder`."""

    def __init__(self, message: str, owner: str, group: str, folder: Path) -> None:
        super().__init__(
            message,
            hint=f"ask {owner} to give group {group} write access to {folder}",
        )
        self.owner = owner
        self.group = group
        self.folder = folder
