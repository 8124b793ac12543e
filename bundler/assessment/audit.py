"""Known vulnerabilities of the packages in bundles and publications, without network access."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.version import Version

from bundler.assessment.acceptance import Acceptance, acceptance_of
from bundler.assessment.advisory import Advisory
from bundler.assessment.severity import Severity
from bundler.assessment.snapshot import Snapshot
from bundler.manifest import Manifest
from wheelhouse.wheel import parse_filename

# Databases in the order in which people know their identifiers.
_KNOWN = ("CVE-", "GHSA-", "PYSEC-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Where a package is used: the bundle or publication, since when (ISO 8601, "" if unknown), and its scripts."""

    place: str
    since: str
    scripts: tuple[str, ...]


# The uses of packages by project and version.
Packages = dict[tuple[str, str], list[Use]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A vulnerability in one version of a package; `aliases` are its other identifiers.

    `fixed` are the next versions without it; `acceptance` says why it does not matter, if somebody has decided that.
    """

    identity: str
    aliases: tuple[str, ...]
    project: str
    version: str
    severity: Severity
    summary: str
    published: str
    fixed: tuple[str, ...]
    uses: tuple[Use, ...]
    acceptance: Acceptance | None = None


def packages_of(manifest: Manifest, place: str, since: str = "") -> Packages:
    """Return the packages (project, version) of a bundle or publication, with the scripts that use them.

    uv counts, too, if it is included.
    """
    scripts: dict[str, set[str]] = {}
    for target in manifest.targets:
        for script, names in target.wheels.items():
            for name in names:
                scripts.setdefault(name, set()).add(script)
    packages: dict[tuple[str, str], set[str]] = {}
    for file in manifest.wheels:
        project, version = parse_filename(file.filename)
        users = packages.setdefault((project, str(version)), set())
        users.update(scripts.get(file.filename, ()))
    uses: Packages = {}
    for package, users in packages.items():
        uses[package] = [Use(place=place, since=since, scripts=tuple(sorted(users)))]
    return uses


def merged(several: Iterable[Packages]) -> Packages:
    """Return the packages of several bundles or publications, each with all its uses, the earliest first."""
    packages: Packages = {}
    for each in several:
        for package, uses in each.items():
            packages.setdefault(package, []).extend(uses)
    for uses in packages.values():
        uses.sort(key=lambda use: (use.since, use.place))
    return packages


def audit(
    packages: Packages, snapshot: Snapshot, accepted: Sequence[Acceptance] = ()
) -> list[Finding]:
    """Return the vulnerabilities of `packages` that `snapshot` knows, the most severe first."""
    found: list[Finding] = []
    for (project, text), uses in packages.items():
        version = Version(text)
        matching = [
            entry for entry in snapshot.by_project.get(project, ()) if entry.affects(version)
        ]
        found += [_finding(group, version, text, uses, accepted) for group in _groups(matching)]
    return sorted(found, key=_urgency)


def _urgency(finding: Finding) -> tuple[object, ...]:
    return -finding.severity, finding.project, finding.version, finding.identity


def _groups(advisories: Sequence[Advisory]) -> list[list[Advisory]]:
    """Return the advisories that are about the same vulnerability, since their identifiers or aliases meet."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in advisories:
        names = {advisory.identity, *advisory.aliases}
        members = [advisory]
        apart = []
        for group in groups:
            if names.isdisjoint(group[0]):
                apart.append(group)
            else:
                names.update(group[0])
                members = [*group[1], *members]
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _finding(
    group: Sequence[Advisory],
    version: Version,
    text: str,
    uses: Sequence[Use],
    accepted: Sequence[Acceptance],
) -> Finding:
    names: set[str] = set()
    fixes: set[Version] = set()
    for entry in group:
        names.update((entry.identity, *entry.aliases))
        fixes.update(entry.fixes(version))
    ranked = sorted(names, key=_rank)
    first = min(group, key=lambda entry: _rank(entry.identity))
    ratings = [entry.severity for entry in group if entry.severity is not Severity.UNKNOWN]
    summaries = [entry.summary for entry in group if entry.summary]
    return Finding(
        identity=ranked[0],
        aliases=tuple(ranked[1:]),
        project=first.project,
        version=text,
        severity=max(ratings, default=Severity.UNKNOWN),
        summary=next(iter(summaries), ""),
        published=min(entry.published for entry in group),
        fixed=tuple(map(str, sorted(fixes))),
        uses=tuple(uses),
        acceptance=acceptance_of(accepted, _vulnerabilities(ranked), first.project, text),
    )


def _vulnerabilities(names: list[str]) -> list[list[str]]:
    """Return the names of each vulnerability among `names`, which advisories treat as one: each CVE is another one."""
    numbers = [name for name in names if name.startswith("CVE-")]
    if len(numbers) > 1:
        return [[number] for number in numbers]
    return [names]


@lru_cache(maxsize=1 << 16)
def _rank(identity: str) -> tuple[int, str]:
    for rank, prefix in enumerate(_KNOWN):
        if identity.startswith(prefix):
            return rank, identity
    return len(_KNOWN), identity
