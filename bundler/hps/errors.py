"""Failures of HPS, explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import BundlerError
from bundler.hps.redaction import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Of many files that failed, so many tell enough.
_ROWS = 10


class HpsFault(BundlerError):
    """HPS did not do what it was asked to do: `fact` about `subject` in one line, and `hint` what to do."""

    def __init__(self, subject: str, fact: str, hint: str = "") -> None:
        self.subject = plain(subject)
        self.fact = plain(fact).rstrip(".")
        self.hint = plain(hint)

    def __str__(self) -> str:
        return f"{self.subject}: {self.fact}" + (f"\nhint: {self.hint}" if self.hint else "")


class NoAccount(BundlerError):
    """Nobody said who is to be logged in."""

    def __str__(self) -> str:
        return (
            "no HPS credentials found\nhint: set HPS_USERNAME and HPS_PASSWORD, or HPS_ACCESS_TOKEN or "
            "HPS_REFRESH_TOKEN, or log in once with `bundler hps login`"
        )


class NowhereToRun(BundlerError):
    """No evaluator and no compute resource set has what jobs need."""

    def __init__(self, needs: str, found: Mapping[str, str], advice: str) -> None:
        self.needs = needs
        self.found = found
        self.advice = advice

    def __str__(self) -> str:
        lines = [f"No evaluator and no compute resource set has {self.needs}, so the jobs would stay pending for ever"]
        lines += [f"  {plain(name)}: {plain(about)}" for name, about in sorted(self.found.items())]
        return "\n".join([*lines, f"hint: {self.advice} (--force submits the jobs nevertheless)"])


class SameProject(BundlerError):
    """An HPS project of the name is there already."""

    def __init__(self, name: str, identities: Iterable[str]) -> None:
        self.name = name
        self.identities = sorted(identities)

    def __str__(self) -> str:
        return (
            f"{self.name}: an HPS project of this name exists already ({', '.join(map(plain, self.identities))})\n"
            "hint: choose another --name, or give --replace, which deletes it with its results"
        )


class JobsFailed(BundlerError):
    """Not all jobs ended well."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = counts

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {plain(status)}" for status, count in self.counts.items() if count)
        return f"not all jobs succeeded: {counts}"


class FilesFailed(BundlerError):
    """Of `count` files that jobs left, some could not be fetched: `rows` are (name, reason) of them."""

    def __init__(self, count: int, rows: Iterable[tuple[str, str]]) -> None:
        self.count = count
        self.rows = sorted(rows)

    def __str__(self) -> str:
        files = "1 file" if self.count == 1 else f"{self.count} files"
        lines = [f"{len(self.rows)} of {files} could not be fetched:"]
        lines += [f"  {plain(name)}: {plain(reason)}" for name, reason in self.rows[:_ROWS]]
        if len(self.rows) > _ROWS:
            lines.append(f"  and {len(self.rows) - _ROWS} more")
        return "\n".join(
            [*lines, "hint: all other files and the table are in place; fetch again for those that failed"]
        )
