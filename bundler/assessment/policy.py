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
        raise BundlerError(f"{path}: invalid TOML ({error})", hint="see `bundler guide approval`") from None
    values: dict[str, Any] = {}
    errors: list[Exception] = []
    for key, value in table.items():
        try:
            values[key.replace("-", "_")] = _READERS[key](value)
        except KeyError:
            errors.append(BundlerError(f"{path}: unknown key {key}", hint=did_you_mean(key, _READERS)))
        except (ValueError, TypeError, InvalidRequirement) as error:
            errors.append(BundlerError(f"{path}: {key}: {error}", hint="see `bundler guide approval`"))
    if errors:
        raise errors[0] if len(errors) == 1 else CombinedError(errors)
    return Policy(**values)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError("must be a list of strings")
    return tuple(value)


def _duration(value: Any) -> float:
    """Return the seconds in text such as "7 d"; a number alone could be anything."""
    if not isinstance(value, str) or value.strip().replace(".", "").isdecimal():
        raise ValueError(f"needs a unit, such as 7 d (got {value!r})")
    return parse_duration(value)


def _severity(value: Any) -> Severity:
    names = [str(rating) for rating in Severity if rating is not Severity.UNKNOWN]
    if value not in names:
        raise ValueError(f"must be one of {', '.join(names)} (got {value!r})")
    return Severity[str(value).upper()]


# The keys of a policy, the most severe first.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "required-signers": _texts,
    "maximum-severity": _severity,
    "forbidden-packages": lambda value: tuple(map(Requirement, _texts(value))),
    "minimum-release-age": lambda value: _duration(value) / _DAY,
    "allowed-licences": _texts,
}


def violations(policy: Policy, review: Mapping[str, Any]) -> list[Violation]:
    """Return how the bundle with the document `review` breaks `policy`. Missing facts are violations, too."""
    found = [
        *_of_signers(policy, review["signatures"]),
        *_of_vulnerabilities(policy, review["vulnerabilities"]),
        *_of_packages(policy, review["packages"], vouched=review["vouched"]),
    ]
    return sorted(found, key=lambda violation: list(_READERS).index(violation.rule))


def _of_packages(policy: Policy, packages: list[Mapping[str, Any]], *, vouched: bool) -> Iterator[Violation]:
    for package in packages:
        name = f"{package['project']} {package['version']}"
        if policy.allowed_licences and not _allows(policy, package["licence"]):
            yield Violation(rule="allowed-licences", subject=name, fact=f"its licence is {package['licence']['text']}")
        if policy.minimum_release_age is not None:
            fact = _too_new(package["age-days"], policy.minimum_release_age, vouched=vouched)
            if fact:
                yield Violation(rule="minimum-release-age", subject=name, fact=fact)
        for requirement in policy.forbidden_packages:
            if canonicalize_name(requirement.name) == package["project"] and requirement.specifier.contains(
                package["version"], prereleases=True
            ):
                yield Violation(rule="forbidden-packages", subject=name, fact=f"{requirement} is forbidden")


def _too_new(days: int | None, least: float, *, vouched: bool) -> str:
    """Return why a release of this age in days is too new, or nothing."""
    if days is None:
        return "its upload time is unknown"
    if days < least:
        return f"it was uploaded {counted(days, 'day')} ago"
    if not vouched:
        return "its upload time is only claimed; use --trust with a signed bundle"
    return ""


def _allows(policy: Policy, licence: Mapping[str, Any]) -> bool:
    allowed = {text.lower() for text in policy.allowed_licences}
    if licence["expression"]:
        try:
            return satisfies(licence["expression"], lambda name: name.lower() in allowed)
        except ValueError:  # Nested too deeply.
            return False
    return bool(licence["texts"]) and all(text.lower() in allowed for text in licence["texts"])


def _of_vulnerabilities(policy: Policy, audit: Mapping[str, Any] | None) -> Iterator[Violation]:
    if policy.maximum_severity is None:
        return
    if audit is None:
        yield Violation(rule="maximum-severity", subject="the bundle", fact="it was not audited; use --advisories")
        return
    if audit["advisories"]["malformed"]:
        yield Violation(rule="maximum-severity", subject="the advisories", fact="some of them could not be read")
    for finding in audit["findings"]:
        rating = Severity[finding["severity"].upper()]
        if finding["accepted"] is None and rating > policy.maximum_severity:
            yield Violation(
                rule="maximum-severity",
                subject=f"{finding['project']} {finding['version']}",
                fact=f"{finding['id']} is {finding['severity']}"
                if rating < Severity.UNKNOWN
                else f"{finding['id']} has no rating",
            )


def _of_signers(policy: Policy, signatures: Mapping[str, Any]) -> Iterator[Violation]:
    names = {name for signer in signatures["signers"] for name in signer["names"]}
    for name in policy.required_signers:
        if name not in names:
            fact = "did not sign it" if signatures["checked"] else "no signature was checked; use --trust"
            yield Violation(rule="required-signers", subject=name, fact=fact)
