"""Upgrade some packages of a bundle and keep the versions of the others where possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from bundler.errors import BundlerError, CombinedError, ScriptError
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.sources.source import Source
from wheelhouse.target import Target


def keeping(sources: Sequence[Source], output: Path, packages: Sequence[str]) -> list[Source]:
    """Return `sources` with the versions in the bundle at `output` as preferences, except for `packages`.

    Raises `BundlerError` if there is no bundle, `CombinedError` with the packages that it does not contain and the
    scripts whose versions come from a lock.
    """
    if not output.exists():
        raise BundlerError(
            f"{output}: no bundle to upgrade", hint="run bundle without --upgrade-package first"
        )
    manifest = read_manifest(output)
    upgraded = {str(canonicalize_name(name)) for name in packages}
    kept = []
    unknown = set(upgraded)
    for source in sources:
        versions = manifest.versions(source.name)
        unknown.difference_update(versions)
        for name in upgraded:
            versions.pop(name, None)
        kept.append(replace(source, keep=tuple(_pins(versions))))
    errors: list[Exception] = []
    for name in sorted(unknown):
        errors.append(BundlerError(f"{name} is not in {output}, so it cannot be upgraded"))
    for source in sources:
        if source.locked:
            errors.append(
                ScriptError(
                    source.path, "its versions come from a lock file", source.upgrade_command()
                )
            )
    if errors:
        raise CombinedError(errors)
    return kept


def keeping_all(sources: Sequence[Source], output: Path) -> list[Source]:
    """Return `sources` with the versions in the bundle at `output` as preferences, unless a lock determines them."""
    manifest = read_manifest(output)
    kept = []
    for source in sources:
        if source.locked:
            kept.append(source)
        else:
            kept.append(replace(source, keep=tuple(_pins(manifest.versions(source.name)))))
    return kept


def _pins(versions: Mapping[str, set[str]]) -> list[str]:
    return [
        f"{project}=={version}"
        for project in sorted(versions)
        for version in sorted(versions[project])
    ]


def changes(before: Manifest, after: Manifest) -> list[str]:
    """Return a description of each package whose version differs between two bundles."""
    old, new = before.versions(), after.versions()
    descriptions = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            descriptions.append(f"{name} {_listed(old.get(name))} -> {_listed(new.get(name))}")
    return descriptions


def _listed(versions: set[str] | None) -> str:
    return " and ".join(sorted(versions)) if versions else "none"


def settings_changes(
    before: Manifest,
    sources: Sequence[Source],
    targets: Sequence[Target],
    *,
    uv: bool,
    python: bool,
) -> list[str]:
    """Return a description of each option that differs between the bundle `before` and one of `sources` for `targets`.

    `uv` and `python` say whether the new bundle includes these.
    """
    descriptions: list[str] = []
    for source in sources:
        descriptions += _source_changes(before, source)
    old = [entry.name for entry in before.targets]
    new = [target.name for target in targets]
    descriptions += [f"no longer for {name}" for name in old if name not in new]
    descriptions += [f"now also for {name}" for name in new if name not in old]
    if uv != any(entry.uv for entry in before.targets):
        descriptions.append(f"{_now(included=uv)} includes uv")
    if python != any(entry.interpreter for entry in before.targets):
        descriptions.append(f"{_now(included=python)} includes Python")
    # Scripts with the same options need one description.
    return list(dict.fromkeys(descriptions))


def _now(*, included: bool) -> str:
    return "now" if included else "no longer"


def _source_changes(before: Manifest, source: Source) -> list[str]:
    """Return a description of each option with which `source` is resolved in another way than `before`."""
    for entry in before.scripts:
        if entry.name == source.name:
            break
    else:
        return []
    then, now = entry.resolved_with, source.resolved_with
    descriptions = [f"without {option}" for option in then if option not in now]
    descriptions += [f"with {option}" for option in now if option not in then]
    is_locked = source.lock is not None
    if is_locked != (entry.lock_sha256 is not None):
        descriptions.append(f"{source.name} {_now(included=is_locked)} uses a lock file")
    return descriptions
