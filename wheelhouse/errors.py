"""Failures that wheelhouse explains: data goes in, one sentence comes out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_USERINFO = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(r"(?<=\S)\?[^\s#'\">)]+(?=$|[\s#'\">)])")
_URL = re.compile(r"[a-z+]+://[^\s'\"<>]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return `text` with user, password and query of every URL in it removed: each may be a secret."""
    # The first wherever a URL may end: a password may hold quotes.
    return _URL.sub(lambda url: _QUERY.sub("", url[0]), _USERINFO.sub("", text))


class WheelhouseError(Exception):
    """Base of every failure that wheelhouse explains."""


class FileFault(WheelhouseError):
    """The disk refused: full, not writable, gone."""

    def __init__(self, path: Path, fault: OSError) -> None:
        self.path = path
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.path}: {self.fault.strerror or self.fault}."


class UnknownPlatform(WheelhouseError):
    """`name` is no platform that a target can have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = known

    def __str__(self) -> str:
        return f"{self.name}: no such platform. Known are: {', '.join(self.known)}."


class UnknownPython(WheelhouseError):
    """`version` is no Python version that a target can have."""

    def __init__(self, version: str, reason: str) -> None:
        self.version = version
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.version}: {self.reason}. Give a Python as uv calls it, such as 3.12, 3.12.4, 3.13t or pypy3.10."


class UvFailed(WheelhouseError):
    """uv said no; its words are good, so they are shown whole under one line of ours."""

    def __init__(self, headline: str, words: str) -> None:
        self.headline = headline
        self.words = words.strip()

    def __str__(self) -> str:
        return f"{self.headline}\n{redacted(self.words)}"


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
        return "\n".join(filter(None, [f"{self.name}: {self.reason}.", redacted(self.words)]))


class StaleLock(WheelhouseError):
    """A lock lies beside the script and no longer fits it."""

    def __init__(self, lock: Path, command: str, changes: str = "") -> None:
        self.lock = lock
        self.command = command
        self.changes = changes.strip()

    def __str__(self) -> str:
        sentence = f"{self.lock}: does not fit what it locks any more. Renew it ({self.command}) or delete it."
        return "\n".join(filter(None, [sentence, redacted(self.changes)]))


class UnusableLock(WheelhouseError):
    """The lock holds something that cannot be carried."""

    def __init__(self, subject: str, reasons: Iterable[str]) -> None:
        self.subject = subject
        self.reasons = sorted(reasons)

    def __str__(self) -> str:
        return "\n".join([f"{self.subject}: cannot be bundled as locked:", *(f"  {reason}" for reason in self.reasons)])


class PythonRefused(WheelhouseError):
    """A target's Python is not one that the script allows."""

    def __init__(self, subject: str, requires_python: str, pythons: Iterable[str]) -> None:
        self.subject = subject
        self.requires_python = requires_python
        self.pythons = sorted(pythons)

    def __str__(self) -> str:
        return (
            f"{self.subject}: requires-python is {self.requires_python}, which leaves out Python "
            f"{', '.join(self.pythons)}. Choose another --python, or widen requires-python."
        )


class NoWheels(WheelhouseError):
    """Packages of which no wheel fits a target."""

    def __init__(self, subject: str, target: str, misfits: Sequence[tuple[str, str, str]], words: str = "") -> None:
        self.subject = subject
        self.target = target
        self.misfits = sorted(misfits)
        self.words = words.strip()

    def __str__(self) -> str:
        width = max(len(f"{name} {version}") for name, version, _ in self.misfits)
        count = "1 package" if len(self.misfits) == 1 else f"{len(self.misfits)} packages"
        lines = [f"{self.subject}: no wheel of {count} fits {self.target}:"]
        lines += [f"  {f'{name} {version}':{width}}   {reason}" for name, version, reason in self.misfits]
        if self.words:
            lines += ["Nor does uv find other versions that do:", redacted(self.words)]
        if all(reason.startswith("only a source distribution") for _, _, reason in self.misfits):
            return "\n".join([*lines, "Build them here with --build NAME, or --build-all."])
        advice = "Choose a newer --platform or --python, constrain versions in the script, or build it (--build NAME)."
        return "\n".join([*lines, advice])


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


class BadMirror(WheelhouseError):
    """A mirror of Python archives that is not as uv's mirrors are."""

    def __init__(self, place: str, fact: str) -> None:
        self.place = place
        self.fact = fact

    def __str__(self) -> str:
        return f"{redacted(self.place)}: {self.fact}. Mend the mirror, or choose another --python-mirror."


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
            "Mend or unset SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."
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
