"""Where a bundle comes from: an in-toto statement (v1) with SLSA provenance (v1) about its manifest.

The build times are only in `runDetails.metadata`; annotations repeat what the indexes said at that time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bundler.layout import MANIFEST
from bundler.manifest import Manifest
from bundler.version import __version__
from wheelhouse.errors import redacted
from wheelhouse.files import bytes_sha256

STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"
# How this tool makes bundles, and itself.
_BUILD_TYPE, _BUILDER = "urn:hps-bundler:bundle:1", "urn:hps-bundler:tool"


def provenance(
    manifest: Manifest,
    indexes: Iterable[str],
    releases: Mapping[str, Mapping[str, str | None]],
    uv: str,
    times: tuple[str, str],
) -> bytes:
    """Return the bytes of provenance.json of a bundle that was made from `indexes` with this version of `uv`.

    `releases` is what the indexes say about wheels by file name, `times` are those of start and end (UTC, ISO 8601).
    Secrets in URLs are left out.
    """
    inputs = [_input(script.name, script.sha256) for script in manifest.scripts]
    inputs += [
        _input(file.path, file.sha256) for file in manifest.files if file.path.startswith("locks/")
    ]
    for file in manifest.wheels:
        facts = releases.get(file.filename)
        if facts:
            inputs.append({**_input(file.path, file.sha256), "annotations": dict(facts)})
    statement = {
        "_type": STATEMENT,
        "subject": [_input(MANIFEST, bytes_sha256(manifest.to_json()))],
        "predicateType": _PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "scripts": [
                        {
                            "name": script.name,
                            "options": list(script.resolved_with),
                        }
                        for script in manifest.scripts
                    ],
                    "targets": [target.name for target in manifest.targets],
                    "indexes": [redacted(url).partition("?")[0] for url in indexes],
                },
                "resolvedDependencies": inputs,
            },
            "runDetails": {
                "builder": {
                    "id": _BUILDER,
                    "version": {"hps-bundler": __version__, "uv": uv},
                },
                "metadata": {"startedOn": times[0], "finishedOn": times[1]},
            },
        },
    }
    return (json.dumps(statement, indent=1) + "\n").encode()


def read_provenance(data: bytes, manifest: bytes) -> dict[str, Any]:
    """Return the predicate of the statement `data` about the bundle whose manifest has the bytes `manifest`.

    Raises `ValueError` if it is malformed or about something else.
    """
    try:
        statement = json.loads(data)
        stated = {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"]}
        predicate = statement["predicate"]
        is_ours = (statement["_type"], statement["predicateType"]) == (
            STATEMENT,
            _PREDICATE,
        )
        texts = _texts(predicate)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("is not a provenance statement") from None
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("is not a provenance statement")
    if not is_ours or stated != {MANIFEST: bytes_sha256(manifest)}:
        raise ValueError("is about another bundle")
    return dict(predicate)


def _texts(predicate: Mapping[str, Any]) -> list[Any]:
    """Return the values of a predicate that must be text. Raises `KeyError`, `TypeError` or `AttributeError`."""
    definition = predicate["buildDefinition"]
    details = predicate["runDetails"]
    texts = list(definition["externalParameters"]["indexes"])
    versions = details["builder"]["version"]
    texts += versions.keys()
    texts += versions.values()
    texts += details["metadata"].values()
    for entry in definition["resolvedDependencies"]:
        texts.append(entry["name"])
        texts.append(entry["digest"]["sha256"])
        annotations = entry.get("annotations") or {}
        texts += [value for value in annotations.values() if value is not None]
    return texts


def _input(name: str, sha256: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha256}}
