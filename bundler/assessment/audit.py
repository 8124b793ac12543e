"""Known vulnerabilities of the packages in bundles and publications, without network access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    for file in manifest.files:
        if file.path.startswith("wheels/"):
            name = file.path.removeprefix("wheels/")
            project, version = parse_filename(name)
            packages.setdefault((project, str(version)), set()).update(scripts.get(name, ()))
    return {
        package: [Use(place=place, since=since, scripts=tuple(sorted(names)))] for package, names in packages.items()
    }


def merged(several: Iterable[Packages]) -> Packages:
    """Return the packages of several bundles or publications, each with all its uses, the earliest first."""
    packages: Packages = {}
    for each in several:
        for package, uses in each.items():
            packages.setdefault(package, []).extend(uses)
    return {package: sorted(uses, key=lambda use: (use.since, use.place)) for package, uses in packages.items()}


def audit(packages: Packages, snapshot: Snapshot, accepted: Sequence[Acceptance] = ()) -> list[Finding]:
    """Return the vulnerabilities of `packages` that `snapshot` knows, the most severe first."""
    found: list[Finding] = []
    for (project, text), uses in packages.items():
        version = Version(text)
        matching = [entry for entry in snapshot.by_project.get(project, ()) if entry.affects(version)]
        found += [_finding(group, text, version, uses, accepted) for group in _groups(matching)]
    return sorted(found, key=lambda finding: (-finding.severity, finding.project, finding.version, finding.identity))


def _groups(advisories: Sequence[Advisory]) -> Iterator[list[Advisory]]:
    """Yield the advisories that are about the same vulnerability, since their identifiers or aliases meet."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in advisories:
        names, members = {advisory.identity, *advisory.aliases}, [advisory]
        apart = []
        for group in groups:
            if names & group[0]:
                names |= group[0]
                members = [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (names, members)]
    return (members for _, members in groups)


def _finding(
    group: Sequence[Advisory], text: str, version: Version, uses: Sequence[Use], accepted: Sequence[Acceptance]
) -> Finding:
    names = sorted({name for entry in group for name in (entry.identity, *entry.aliases)}, key=_rank)
    first = min(group, key=lambda entry: _rank(entry.identity))
    rated = [entry.severity for entry in group if entry.severity < type(entry.severity).UNKNOWN]
    return Finding(
        identity=names[0],
        aliases=tuple(names[1:]),
        project=first.project,
        version=text,
        severity=max(rated, default=first.severity),
        summary=next((entry.summary for entry in group if entry.summary), ""),
        published=min(entry.published for entry in group),
        fixed=tuple(str(fix) for fix in sorted({fix for entry in group for fix in entry.fixes(version)})),
        uses=tuple(uses),
        acceptance=acceptance_of(accepted, _vulnerabilities(names), first.project, text),
    )


def _vulnerabilities(names: Sequence[str]) -> list[list[str]]:
    """Return the names of each vulnerability among `names`, which advisories treat as one: each CVE is another one."""
    numbers = [name for name in names if name.startswith(_KNOWN[0])]
    return [[name] for name in numbers] if len(numbers) > 1 else [list(names)]


@lru_cache(maxsize=1 << 16)
def _rank(identity: str) -> tuple[int, str]:
    number = next((number for number, prefix in enumerate(_KNOWN) if identity.startswith(prefix)), len(_KNOWN))
    return number, identity
