"""The rules of a site for bundles, and the verdict about one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from bundler.assessment.severity import Severity
from bundler.assessment.spdx import satisfies
from bundler.errors import BundlerError, CombinedError
from bundler.suggestions import did_you_mean
from bundler.units import counted, parse_duration
from wheelhouse import files, toml

# A review, or a part of it.
_Facts = Mapping[str, Any]
_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of a site; None, or an empty tuple, allows everything.

    `allowed_licences` are SPDX identifiers, or what older packages say instead. `minimum_release_age` is in days.
    """

    allowed_licences: tuple[str, ...] = ()
    maximum_severity: Severity | None = None
    minimum_release_age: float | None = None
    required_signers: tuple[str, ...] = ()
    forbidden_packages: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that a bundle breaks: its key, what breaks it, and why."""

    rule: str
    subject: str
    fact: str


def read_policy(path: Path) -> Policy:
    """Return the rules in the TOML file `path`. Raises `CombinedError` with everything invalid, `FileError`."""
    with files.explained(path):
        data = files.read_input(path)
    try:
        table = toml.loads(data.decode())
    except ValueError as error:
        raise BundlerError(
            f"{path}: invalid TOML ({error})", hint="see `bundler guide approval`"
        ) from None
    values: dict[str, Any] = {}
    errors: list[Exception] = []
    for key, value in table.items():
        try:
            values[key.replace("-", "_")] = _READERS[key](value)
        except KeyError:
            errors.append(
                BundlerError(f"{path}: unknown key {key}", hint=did_you_mean(key, _READERS))
            )
        except (ValueError, TypeError, InvalidRequirement) as error:
            errors.append(
                BundlerError(f"{path}: {key}: {error}", hint="see `bundler guide approval`")
            )
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise CombinedError(errors)
    return Policy(**values)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError("must be a list of strings")
    return tuple(value)


def _requirements(value: Any) -> tuple[Requirement, ...]:
    return tuple(map(Requirement, _texts(value)))


def _days(value: Any) -> float:
    """Return the days in text such as "7 d"; a number alone could be anything."""
    if not isinstance(value, str) or value.strip().replace(".", "").isdecimal():
        raise ValueError(f"needs a unit, such as 7 d (got {value!r})")
    return parse_duration(value) / _DAY


def _severity(value: Any) -> Severity:
    names = [str(rating) for rating in Severity if rating is not Severity.UNKNOWN]
    if value not in names:
        raise ValueError(f"must be one of {', '.join(names)} (got {value!r})")
    return Severity[str(value).upper()]


# The keys of a policy, the most severe first.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "required-signers": _texts,
    "maximum-severity": _severity,
    "forbidden-packages": _requirements,
    "minimum-release-age": _days,
    "allowed-licences": _texts,
}


def violations(policy: Policy, review: _Facts) -> list[Violation]:
    """Return how the bundle with the document `review` breaks `policy`. Missing facts are violations, too."""
    found = [
        *_of_signers(policy, review["signatures"]),
        *_of_vulnerabilities(policy, review["vulnerabilities"]),
    ]
    for package in review["packages"]:
        found += _of_package(policy, package, vouched=review["vouched"])
    rules = list(_READERS)
    return sorted(found, key=lambda violation: rules.index(violation.rule))


def _of_signers(policy: Policy, signatures: _Facts) -> Iterator[Violation]:
    signers: set[str] = set()
    for signer in signatures["signers"]:
        signers.update(signer["names"])
    fact = "no signature was checked; use --trust"
    if signatures["checked"]:
        fact = "did not sign it"
    for name in policy.required_signers:
        if name not in signers:
            yield Violation(rule="required-signers", subject=name, fact=fact)


def _of_vulnerabilities(policy: Policy, audit: _Facts | None) -> Iterator[Violation]:
    rule = "maximum-severity"
    if policy.maximum_severity is None:
        return
    if audit is None:
        yield Violation(
            rule=rule, subject="the bundle", fact="it was not audited; use --advisories"
        )
        return
    if audit["advisories"]["malformed"]:
        yield Violation(rule=rule, subject="the advisories", fact="some of them could not be read")
    for finding in audit["findings"]:
        rating = Severity[finding["severity"].upper()]
        if finding["accepted"] is not None or rating <= policy.maximum_severity:
            continue
        fact = f"{finding['id']} is {finding['severity']}"
        if rating is Severity.UNKNOWN:
            fact = f"{finding['id']} has no rating"
        yield Violation(rule=rule, subject=f"{finding['project']} {finding['version']}", fact=fact)


def _of_package(policy: Policy, package: _Facts, *, vouched: bool) -> Iterator[Violation]:
    project, version, licence = package["project"], package["version"], package["licence"]
    name = f"{project} {version}"
    if policy.allowed_licences and not _allows(policy, licence):
        yield Violation(
            rule="allowed-licences", subject=name, fact=f"its licence is {licence['text']}"
        )
    if policy.minimum_release_age is not None:
        fact = _too_new(package["age-days"], policy.minimum_release_age, vouched=vouched)
        if fact:
            yield Violation(rule="minimum-release-age", subject=name, fact=fact)
    for requirement in policy.forbidden_packages:
        is_named = canonicalize_name(requirement.name) == project
        if is_named and requirement.specifier.contains(version, prereleases=True):
            yield Violation(
                rule="forbidden-packages", subject=name, fact=f"{requirement} is forbidden"
            )


def _too_new(days: int | None, least: float, *, vouched: bool) -> str:
    """Return why a release of this age in days is too new, or nothing."""
    if days is None:
        return "its upload time is unknown"
    if days < least:
        return f"it was uploaded {counted(days, 'day')} ago"
    if not vouched:
        return "its upload time is only claimed; use --trust with a signed bundle"
    return ""


def _allows(policy: Policy, licence: _Facts) -> bool:
    allowed = {text.lower() for text in policy.allowed_licences}
    if not licence["expression"]:
        return bool(licence["texts"]) and all(text.lower() in allowed for text in licence["texts"])
    try:
        return satisfies(licence["expression"], lambda name: name.lower() in allowed)
    except ValueError:  # Nested too deeply.
        return False
