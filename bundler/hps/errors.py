"""Failures of HPS, explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import BundlerError, JobError
from bundler.hps.redaction import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Of many files that failed, so many tell enough.
_ROWS = 10


class HpsError(BundlerError):
    """HPS did not do what it was asked to do: `fact` about `subject` in one line, and `hint` what to do."""

    def __init__(self, subject: str, fact: str, hint: str = "", facts: Iterable[str] = ()) -> None:
        self.subject = plain(subject)
        self.fact = plain(fact).rstrip(".")
        super().__init__(f"{self.subject}: {self.fact}", hint=plain(hint), facts=map(plain, facts))


def no_account() -> BundlerError:
    """Return the failure of a login for which nobody said who logs in."""
    return BundlerError(
        "no HPS credentials found",
        hint="set HPS_USERNAME and HPS_PASSWORD, or HPS_ACCESS_TOKEN or HPS_REFRESH_TOKEN, or log in once with "
        "`bundler hps login`",
    )


def nowhere_to_run(needs: str, resources: Mapping[str, str], advice: str) -> BundlerError:
    """Return the failure of jobs with `needs` that none of `resources`, by name what it has, fulfils."""
    return BundlerError(
        f"no evaluator and no compute resource set has {plain(needs)}, so the jobs would stay pending for ever",
        facts=[f"{plain(name)}: {plain(about)}" for name, about in sorted(resources.items())],
        hint=f"{plain(advice)} (--force submits the jobs nevertheless)",
    )


def jobs_failed(counts: Mapping[str, int]) -> JobError:
    """Return the failure of jobs that did not all end well, by state how many."""
    states = ", ".join(f"{count} {plain(status)}" for status, count in counts.items() if count)
    return JobError(f"not all jobs succeeded: {states}")


def files_failed(count: int, rows: Iterable[tuple[str, str]]) -> BundlerError:
    """Return the failure of some of `count` files that could not be fetched: (name, reason) of each."""
    lines = [f"{plain(name)}: {plain(reason)}" for name, reason in sorted(rows)]
    more = [f"and {len(lines) - _ROWS} more"] if len(lines) > _ROWS else []
    return BundlerError(
        f"{len(lines)} of {'1 file' if count == 1 else f'{count} files'} could not be fetched:",
        facts=[*lines[:_ROWS], *more],
        hint="all other files and the table are in place; fetch again for those that failed",
    )
