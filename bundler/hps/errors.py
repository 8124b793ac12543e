"""Errors of HPS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bundler.errors import BundlerError, JobError
from bundler.hps.redaction import plain
from bundler.units import counted

# Files that are listed when many failed.
_ROWS = 10


class HpsError(BundlerError):
    """A failed request to HPS: `fact` about `subject`, and a hint; `status` is that of the answer, or 0."""

    def __init__(
        self,
        subject: str,
        fact: str,
        hint: str = "",
        facts: Iterable[str] = (),
        status: int = 0,
    ) -> None:
        self.status = status
        self.subject = plain(subject)
        self.fact = plain(fact).rstrip(".")
        super().__init__(
            f"{self.subject}: {self.fact}",
            hint=plain(hint),
            facts=map(plain, facts),
        )


def no_account() -> BundlerError:
    """Return the error for missing credentials."""
    return BundlerError(
        "no HPS credentials found",
        hint="set HPS_USERNAME and HPS_PASSWORD, HPS_ACCESS_TOKEN or HPS_REFRESH_TOKEN, or run `bundler hps login`",
    )


def nowhere_to_run(
    needs: str,
    resources: Mapping[str, str],
    advice: str,
) -> BundlerError:
    """Return the error for jobs with `needs` that none of `resources` (descriptions by name) satisfies."""
    return BundlerError(
        f"no evaluator or compute resource set has {plain(needs)}, so the jobs would stay pending forever",
        facts=[f"{plain(name)}: {plain(about)}" for name, about in sorted(resources.items())],
        hint=f"{plain(advice)}, or submit the jobs anyway with --force",
    )


def jobs_failed(counts: Mapping[str, int]) -> JobError:
    """Return the error for jobs that did not all succeed; `counts` are numbers of jobs by state."""
    states = ", ".join(f"{count} {plain(status)}" for status, count in counts.items() if count)
    return JobError(f"not all jobs succeeded: {states}")


def files_failed(count: int, rows: Iterable[tuple[str, str]]) -> BundlerError:
    """Return the error for files that could not be fetched: `rows` are (name, reason) pairs, of `count` files."""
    lines = [f"{plain(name)}: {plain(reason)}" for name, reason in sorted(rows)]
    facts = lines[:_ROWS]
    if len(lines) > _ROWS:
        facts.append(f"and {len(lines) - _ROWS} more")
    return BundlerError(
        f"{len(lines)} of {counted(count, 'file')} could not be fetched",
        facts=facts,
        hint="fetch again for these files; all other files and the table are complete",
    )
