"""Failures of HPS, explained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.errors import BundlerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN = re.compile(r"eyJ[\w-]{5,}(\.[\w-]+)*|(?i:bearer)\s+\S+")


def without_secrets(text: str) -> str:
    """Return `text` without access tokens."""
    return _TOKEN.sub("***", text)


def plain(text: object) -> str:
    """Return `text`, which a server sent, as one line that steers no terminal."""
    return "".join(each if each.isprintable() else " " for each in str(text)).strip()


class HpsFault(BundlerError):
    """HPS did not do what it was asked to do."""

    def __init__(self, subject: str, fact: str, remedy: str = "") -> None:
        self.subject = subject
        self.fact = plain(without_secrets(fact)).rstrip(".")
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.fact}. {self.remedy}".rstrip()


class NoAccount(BundlerError):
    """Nobody said who is to be logged in."""

    def __str__(self) -> str:
        return (
            "Who are you, and what proves it? Set HPS_USERNAME and HPS_PASSWORD, or HPS_ACCESS_TOKEN or "
            "HPS_REFRESH_TOKEN, or log in once with `bundler hps login`."
        )


class NowhereToRun(BundlerError):
    """No evaluator and no compute resource set has what jobs need."""

    def __init__(self, needs: str, found: Mapping[str, str], advice: str) -> None:
        self.needs = needs
        self.found = found
        self.advice = advice

    def __str__(self) -> str:
        lines = [f"No evaluator and no compute resource set has {self.needs}; such jobs would stay pending for ever."]
        lines += [f"  {plain(name)}: {plain(about)}" for name, about in sorted(self.found.items())]
        return "\n".join([*lines, f"{self.advice} (--force submits all the same)"])


class SameProject(BundlerError):
    """An HPS project of the name is there already."""

    def __init__(self, name: str, identities: Iterable[str]) -> None:
        self.name = name
        self.identities = sorted(identities)

    def __str__(self) -> str:
        return (
            f"{self.name}: an HPS project of this name is there already ({', '.join(self.identities)}). "
            "Choose another --name, or give --replace, which deletes it with its results."
        )


class JobsFailed(BundlerError):
    """Not all jobs ended well."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = counts

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {plain(status)}" for status, count in self.counts.items() if count)
        return f"Not all jobs succeeded: {counts}."
