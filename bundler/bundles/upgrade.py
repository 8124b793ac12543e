"""Upgrade some packages of a bundle and keep the versions of the others where possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

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
        raise BundlerError(f"{output}: no bundle to upgrade", hint="run bundle without --upgrade-package first")
    manifest = read_manifest(output)
    bundled = {source.name: _versions(manifest, source.name) for source in sources}
    upgraded = {canonicalize_name(name) for name in packages}
    held = {project for versions in bundled.values() for project in versions}
    errors: list[Exception] = [
        BundlerError(f"{name} is not in {output}, so it cannot be upgraded") for name in sorted(upgraded - held)
    ]
    errors += [
        ScriptError(source.path, "its versions come from a lock file", source.upgrade_command())
        for source in sources
        if source.locked
    ]
    if errors:
        raise CombinedError(errors)
    return [
        replace(source, keep=tuple(_pins({name: at for name, at in versions.items() if name not in upgraded})))
        for source in sources
        for versions in [bundled[source.name]]
    ]


def keeping_all(sources: Sequence[Source], output: Path) -> list[Source]:
    """Return `sources` with the versions in the bundle at `output` as preferences, unless a lock determines them."""
    manifest = read_manifest(output)
    return [
        source if source.locked else replace(source, keep=tuple(_pins(_versions(manifest, source.name))))
        for source in sources
    ]


def _pins(versions: Mapping[str, set[str]]) -> list[str]:
    return [f"{project}=={version}" for project in sorted(versions) for version in sorted(versions[project])]


def changes(before: Manifest, after: Manifest) -> list[str]:
    """Return a description of each package whose version differs between two bundles."""
    old, new = _versions(before), _versions(after)
    return [
        f"{name} {' and '.join(sorted(old.get(name, {'none'})))} -> {' and '.join(sorted(new.get(name, {'none'})))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def settings_changes(
    before: Manifest, sources: Sequence[Source], targets: Sequence[Target], *, uv: bool, python: bool
) -> list[str]:
    """Return a description of each option that differs between the bundle `before` and one of `sources` for `targets`.

    `uv` and `python` say whether the new bundle includes these.
    """
    descriptions: list[str] = []
    entries = {entry.name: entry for entry in before.scripts}
    for source in sources:
        entry = entries.get(source.name)
        if entry is None:
            continue
        now = source.resolved_with
        descriptions += [f"without {option}" for option in entry.resolved_with if option not in now]
        descriptions += [f"with {option}" for option in now if option not in entry.resolved_with]
        if (entry.lock_sha256 is None) != (source.lock is None):
            descriptions.append(f"{source.name} {'no longer uses' if source.lock is None else 'now uses'} a lock file")
    old, new = [entry.name for entry in before.targets], [target.name for target in targets]
    descriptions += [f"no longer for {name}" for name in old if name not in new]
    descriptions += [f"now also for {name}" for name in new if name not in old]
    for name, here, then in (
        ("uv", uv, any(entry.uv for entry in before.targets)),
        ("Python", python, any(entry.interpreter for entry in before.targets)),
    ):
        if here != then:
            descriptions.append(f"{'now includes' if here else 'no longer includes'} {name}")
    return list(dict.fromkeys(descriptions))


def _versions(manifest: Manifest, script: str | None = None) -> dict[str, set[str]]:
    """Return the versions of each project that `script`, or any script, installs on some target."""
    versions: dict[str, set[str]] = {}
    for target in manifest.targets:
        for name, filenames in target.wheels.items():
            for project, version, *_ in map(parse_wheel_filename, filenames if script in (None, name) else ()):
                versions.setdefault(project, set()).add(str(version))
    return versions
