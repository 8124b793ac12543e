"""The command that finds known vulnerabilities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from bundler.cli.command import PATH, base_option, command, json_option, path_argument, unpacked
from bundler.cli.terminal import result, say, warn
from bundler.errors import BundlerError
from bundler.lazily import lazily
from bundler.units import counted

with lazily():
    from bundler import assurance
    from bundler.assessment import audit as audits, findings, severity, snapshot as snapshots

accept_option = click.option(
    "--accept", metavar="FILE", type=PATH, help="OpenVEX document with findings that do not matter."
)
SEVERITIES = ("low", "medium", "high", "critical")


@command("audit")
@path_argument
@click.option(
    "--advisories",
    metavar="FILE",
    type=PATH,
    required=True,
    help="OSV records for PyPI: the zip file that OSV publishes, or a folder of records in JSON or YAML.",
)
@click.option(
    "--accept",
    metavar="FILE",
    type=PATH,
    help="OpenVEX document with findings that do not matter.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Fail if a finding that is not accepted has this severity, a higher one, or no rating.",
)
@base_option
@json_option
def audit(
    path: Path,
    advisories: Path,
    accept: Path | None,
    fail_on: str | None,
    base: Path | None,
    as_json: bool,
) -> None:
    """Find known vulnerabilities, without network access.

    Compares the packages of PATH (a bundle, publication, archive, or a store with all its publications) with a snapshot
    of advisories. Prints each vulnerability once: its severity, the versions that fix it, and the publications and
    scripts that use the package, with their dates. Merges advisories about the same vulnerability, and ignores
    withdrawn ones.

    \b
    Examples:
        bundler audit eval.bundle --advisories all.zip
        bundler audit /shared/store --advisories all.zip --accept accepted.json --fail-on high
    """
    if (path / "store.json").exists():
        found, packages, snapshot = assurance.audit([path], advisories, accept=accept)
    else:
        with unpacked(path, base) as folders:
            found, packages, snapshot = assurance.audit(folders, advisories, accept=accept)
    today = datetime.now(timezone.utc).date()
    document = findings.document(found, packages, snapshot, today)
    result(document, findings.lines(found), as_json=as_json)
    _warn_of_malformed(snapshot)
    say(findings.summary(found, packages, snapshot, today))
    hint = "upgrade these packages, or accept findings that do not matter with --accept"
    _require_harmless(path, found, fail_on, hint)
    _require_readable(snapshot, fail_on)


def _warn_of_malformed(snapshot: snapshots.Snapshot) -> None:
    if snapshot.malformed:
        warn(
            f"{counted(len(snapshot.malformed), 'malformed record')} ignored, such as {snapshot.malformed[0]}"
        )


def _require_harmless(
    path: Path, found: Sequence[audits.Finding], fail_on: str | None, hint: str
) -> None:
    """Raise `BundlerError` if one of `found` has the severity `fail_on` or a higher one."""
    if fail_on is None:
        return
    grave = findings.severe(found, severity.Severity[fail_on.upper()])
    if grave:
        raise BundlerError(
            f"{path}: {counted(len(grave), 'finding')} of severity {fail_on} or above, or without a rating",
            hint=hint,
        )


def show_vulnerabilities(path: Path, advisories: Path, fail_on: str | None) -> None:
    """Show the known vulnerabilities of the bundle `path` next to its progress.

    Raises `BundlerError` if one has the severity `fail_on` or a higher one.
    """
    found, packages, snapshot = assurance.audit([path], advisories)
    for line in findings.lines(found):
        say(line)
    _warn_of_malformed(snapshot)
    say(findings.summary(found, packages, snapshot, datetime.now(timezone.utc).date()))
    hint = "upgrade these packages, or accept findings with `bundler audit --accept` and omit --fail-on"
    _require_harmless(path, found, fail_on, hint)
    _require_readable(snapshot, fail_on)


def _require_readable(snapshot: snapshots.Snapshot, fail_on: str | None) -> None:
    """Raise `BundlerError` if a gate would have to trust advisories that could not be read."""
    if fail_on and snapshot.malformed:
        raise BundlerError(
            f"{counted(len(snapshot.malformed), 'advisory record')} could not be read, such as {snapshot.malformed[0]}",
            hint="get the snapshot again, or remove the record and accept the risk",
        )
