"""The packages of a bundle and their licences, as rows of a review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from bundler.assessment.attestation import stated_publishers
from bundler.assessment.contents import Contents, read_contents
from bundler.assessment.licence import Licence
from bundler.assessment.spdx import satisfies
from bundler.bundle_folder import Bundle
from bundler.manifest import File, Manifest

# A package or a licence, for programs and for the page.
_Row = dict[str, Any]
# What a row, or a provenance, says.
_Facts = Mapping[str, Any]
# Licences that need no thought: permissive, and common among packages for Python; and what older packages call them.
_USUAL = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "HPND",
    "ISC",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "Python-2.0",
    "Zlib",
}
_USUAL_NAMES = {
    *_USUAL,
    "Apache 2.0",
    "Apache License 2.0",
    "Apache License, Version 2.0",
    "Apache Software License",
    "BSD",
    "BSD License",
    "BSD 3-Clause License",
    "3-Clause BSD License",
    "ISC License (ISCL)",
    "MIT License",
    "PSF",
    "Python Software Foundation License",
}


def package_rows(bundle: Bundle, built: _Facts | None, today: date) -> list[_Row]:
    """Return a row for each wheel of `bundle`, with what `built`, its provenance, says about it."""
    manifest = bundle.manifest
    facts = _facts(manifest, built)
    publishers = stated_publishers(bundle)
    rows = []
    for file in manifest.wheels:
        contents = read_contents(bundle.path(file))
        row = _package(file, contents, manifest, facts.get(file.path, {}), today)
        row["publishers"] = list(publishers.get(contents.filename, ()))
        rows.append(row)
    return sorted(rows, key=lambda row: (row["project"], row["filename"]))


def _facts(manifest: Manifest, built: _Facts | None) -> dict[str, _Facts]:
    """Return what indexes said about the files in `manifest` by path, according to the provenance `built`."""
    digests = {(file.path, file.sha256) for file in manifest.files}
    facts: dict[str, _Facts] = {}
    for entry in (built or {}).get("buildDefinition", {}).get("resolvedDependencies", []):
        annotations = entry.get("annotations")
        if (entry["name"], entry["digest"]["sha256"]) in digests and isinstance(annotations, dict):
            facts[entry["name"]] = annotations
    return facts


def _package(
    file: File,
    contents: Contents,
    manifest: Manifest,
    facts: _Facts,
    today: date,
) -> _Row:
    licence = contents.licence
    uploaded = facts.get("uploaded")
    age = _age(uploaded, today)
    if age is None:
        uploaded = None
    yanked = facts.get("yanked")
    if not isinstance(yanked, str):
        yanked = None
    scripts, targets = _uses(file, contents.filename, manifest)
    return {
        "project": str(contents.project),
        "version": contents.version,
        "filename": contents.filename,
        "sha256": file.sha256,
        "size": file.size,
        "origin": file.origin,
        "built": file.is_built,
        "licence": {
            "expression": licence.expression,
            "texts": list(licence.texts),
            "text": str(licence),
        },
        "native": len(contents.native),
        "parts": [{"name": part.name, "version": part.version} for part in contents.parts],
        "uploaded": uploaded,
        "age-days": age,
        "yanked": yanked,
        "status": str(facts.get("status") or "active"),
        "scripts": scripts,
        "targets": targets,
    }


def _uses(file: File, filename: str, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Return the scripts that use a wheel, and the targets that need it, on which it may be uv, too."""
    scripts: set[str] = set()
    targets = []
    for target in manifest.targets:
        users = [script for script, names in target.wheels.items() if filename in names]
        scripts.update(users)
        if users or target.uv == file.path:
            targets.append(target.name)
    return sorted(scripts), targets


def _age(uploaded: Any, today: date) -> int | None:
    try:
        return (today - datetime.fromisoformat(str(uploaded)[:10]).date()).days
    except ValueError:
        return None


def licence_rows(packages: Sequence[_Facts]) -> list[_Row]:
    """Return the licences with their packages: unknown ones, then unusual ones, each the rarest first."""
    groups: dict[str, _Row] = {}
    for package in packages:
        licence = package["licence"]
        text = licence["text"]
        if text not in groups:
            groups[text] = {
                "licence": text,
                "classified": licence["expression"] is not None,
                "unusual": not _is_usual(licence),
                "packages": [],
            }
        projects = groups[text]["packages"]
        if package["project"] not in projects:
            projects.append(package["project"])
    return sorted(groups.values(), key=_rank)


def _is_usual(licence: _Facts) -> bool:
    if licence["expression"] is None:
        return bool(licence["texts"]) and _USUAL_NAMES.issuperset(licence["texts"])
    try:
        return satisfies(licence["expression"], _USUAL.__contains__)
    except ValueError:  # Nested too deeply.
        return False


def _rank(group: _Facts) -> tuple[object, ...]:
    return (
        group["licence"] != str(Licence()),
        not group["unusual"],
        not group["classified"],
        len(group["packages"]),
        group["licence"],
    )
