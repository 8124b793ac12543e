"""Upgrading some packages of a bundle: the versions of all others stand as far as they can."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename

from bundler.errors import BundlerError, CombinedError, ScriptError
from bundler.manifest_reader import read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.manifest import Manifest
    from bundler.sources.source import Source
    from wheelhouse.target import Target


def keeping(sources: Sequence[Source], output: Path, packages: Sequence[str]) -> list[Source]:
    """Return `sources` with the versions that they have in the bundle at `output`, but for those of `packages`.

    Raises `BundlerError` where there is none, `CombinedError` with the packages that it does not hold and the
    scripts whose versions are a lock's.
    """
    if not output.exists():
        raise BundlerError(f"{output}: there is no such bundle yet", hint="leave out --upgrade-package to make it")
    manifest = read_manifest(output)
    found = {source.name: _versions(manifest, source.name) for source in sources}
    upgraded = {canonicalize_name(name) for name in packages}
    held = {project for versions in found.values() for project in versions}
    faults: list[Exception] = [
        BundlerError(f"{name}: is not in {output}, so it cannot be upgraded") for name in sorted(upgraded - held)
    ]
    faults += [
        ScriptError(source.path, "has the versions of its lock", f"upgrade that: {source.upgrade_command()}")
        for source in sources
        if source.locked
    ]
    if faults:
        raise CombinedError(faults)
    pins = {
        name: [f"{project}=={at}" for project in sorted(versions.keys() - upgraded) for at in sorted(versions[project])]
        for name, versions in found.items()
    }
    return [replace(source, keep=tuple(pins[source.name])) for source in sources]


def changes(before: Manifest, after: Manifest) -> list[str]:
    """Return, in words, the packages of which two bundles hold other versions."""
    old, new = _versions(before), _versions(after)
    return [
        f"{name} {' and '.join(sorted(old.get(name, {'none'})))} -> {' and '.join(sorted(new.get(name, {'none'})))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def settings_changes(
    before: Manifest, sources: Sequence[Source], targets: Sequence[Target], *, uv: bool, python: bool
) -> list[str]:
    """Return, in words, how a bundle was made otherwise than one of `sources` for `targets` is to be made now.

    `uv` and `python` say whether it is to carry those.
    """
    found: list[str] = []
    made = {entry.name: entry for entry in before.scripts}
    for source in sources:
        entry = made.get(source.name)
        if entry is None:
            continue
        now = source.resolved_with
        found += [f"without {each}" for each in entry.resolved_with if each not in now]
        found += [f"with {each}" for each in now if each not in entry.resolved_with]
        if (entry.lock_sha256 is None) != (source.lock is None):
            found.append(f"{source.name} {'no longer follows' if source.lock is None else 'now follows'} a lock")
    old, new = [entry.name for entry in before.targets], [target.name for target in targets]
    found += [f"no longer for {name}" for name in old if name not in new]
    found += [f"now also for {name}" for name in new if name not in old]
    for name, here, then in (
        ("uv", uv, any(entry.uv for entry in before.targets)),
        ("Python", python, any(entry.interpreter for entry in before.targets)),
    ):
        if here != then:
            found.append(f"{'now with' if here else 'without'} {name} for the nodes")
    return list(dict.fromkeys(found))


def _versions(manifest: Manifest, script: str | None = None) -> dict[str, set[str]]:
    """Return the versions of each project that `script`, or any, installs on some target."""
    found: dict[str, set[str]] = {}
    for target in manifest.targets:
        for name, filenames in target.wheels.items():
            for project, version, *_ in map(parse_wheel_filename, filenames if script in (None, name) else ()):
                found.setdefault(project, set()).add(str(version))
    return found
