"""Everything that somebody needs to approve a bundle, as one document."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bundler.assessment.audit import packages_of
from bundler.assessment.packages import licence_rows, package_rows
from bundler.bundle_folder import Bundle
from bundler.layout import MANIFEST, PROVENANCE
from bundler.manifest import Manifest, ScriptEntry, TargetEntry
from bundler.trust.attachments import LIMIT
from bundler.trust.provenance import read_provenance
from bundler.trust.signature import Approval
from wheelhouse import files

_Facts = dict[str, Any]


def review(
    bundle: Bundle,
    today: date,
    *,
    approvals: Sequence[Approval] | None = None,
    problem: str = "",
    since: Bundle | None = None,
    audit: Mapping[str, Any] | None = None,
) -> _Facts:
    """Return what is known about the verified `bundle`, as `bundler report --json` prints it.

    `approvals` are its signatures, None if nobody checked them, and `problem` is why there is none. `since` is an
    earlier bundle, `audit` the document of an audit. Sizes are in bytes. Raises
    `WheelError`, `FileError`.
    """
    manifest = bundle.manifest
    data = bundle.read(MANIFEST, LIMIT * 64)
    built = _provenance(bundle.folder, data)
    stated = built
    if approvals == []:
        # Somebody whose signature is required and missing may have forged what indexes are said to have stated.
        stated = None
    rows = package_rows(bundle, stated, today)
    return {
        "name": manifest.name,
        "manifest": hashlib.sha256(data).hexdigest(),
        "size": manifest.size,
        "day": today.isoformat(),
        "scripts": [_script(script) for script in manifest.scripts],
        "targets": [_target(target) for target in manifest.targets],
        "built": _built(built),
        # Whether an accepted signature covers the provenance and the attestations; otherwise they are claims.
        "vouched": bool(approvals),
        "signatures": {
            "checked": approvals is not None,
            "problem": problem or None,
            "signers": [entry.to_dict() for entry in approvals or ()],
        },
        "changes": _changes(manifest, since),
        "licences": licence_rows(rows),
        "vulnerabilities": audit,
        "packages": rows,
    }


def _provenance(folder: Path, manifest: bytes) -> _Facts | None:
    if not (folder / PROVENANCE).is_file():
        return None
    # `verify` has checked that it is about this manifest.
    return read_provenance(files.read_plain(folder / PROVENANCE, LIMIT), manifest)


def _script(script: ScriptEntry) -> _Facts:
    return {
        "name": script.name,
        "sha256": script.sha256,
        "requires-python": script.requires_python,
        "dependencies": list(script.dependencies),
        "locked": script.lock_sha256 is not None,
    }


def _target(target: TargetEntry) -> _Facts:
    included = filter(None, (target.uv, target.interpreter))
    return {
        "name": target.name,
        "python": target.python,
        "platform": target.platform,
        "includes": [path.rpartition("/")[2] for path in included],
    }


def _built(predicate: Mapping[str, Any] | None) -> _Facts | None:
    if predicate is None:
        return None
    details = predicate["runDetails"]
    metadata = details.get("metadata") or {}
    return {
        "versions": {
            str(name): str(version) for name, version in details["builder"]["version"].items()
        },
        "finished": str(metadata.get("finishedOn", "")),
        "indexes": list(map(str, predicate["buildDefinition"]["externalParameters"]["indexes"])),
    }


def _changes(manifest: Manifest, since: Bundle | None) -> _Facts | None:
    if since is None:
        return None
    earlier = since.manifest
    before, after = _versions(earlier), _versions(manifest)
    packages = [
        {"project": project, "before": before.get(project, []), "after": after.get(project, [])}
        for project in _differing(before, after)
    ]
    scripts_before = {script.name: script.sha256 for script in earlier.scripts}
    scripts_after = {script.name: script.sha256 for script in manifest.scripts}
    targets_before = {target.name for target in earlier.targets}
    targets_after = {target.name for target in manifest.targets}
    return {
        "since": since.folder.name,
        "packages": packages,
        "scripts": _differing(scripts_before, scripts_after),
        "targets": sorted(targets_before.symmetric_difference(targets_after)),
    }


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return the keys that only one of the tables has, or that have another value."""
    return [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]


def _versions(manifest: Manifest) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for project, version in sorted(packages_of(manifest, manifest.name)):
        versions.setdefault(project, []).append(version)
    return versions
