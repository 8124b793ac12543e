"""Attestations of wheels (PEP 740) in a bundle: where they are, and which publishers they name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from bundler.bundle_folder import Bundle
from bundler.layout import ATTESTATIONS

SUFFIX = ".provenance"
# Bytes; an attestation has about ten thousand.
LIMIT = 8 << 20


def attestation_path(filename: str) -> str:
    """Return the path in a bundle of the attestations of a wheel."""
    return f"{ATTESTATIONS}{filename}{SUFFIX}"


def publishers(data: bytes) -> tuple[str, ...]:
    """Return the publishers that the provenance object `data` names, unverified. Raises `ValueError`."""
    try:
        bundles = json.loads(data)["attestation_bundles"]
        return tuple(sorted({_text(bundle["publisher"]) for bundle in bundles}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("is not a provenance object") from None


def _text(publisher: Mapping[str, Any]) -> str:
    """Return a publisher as a line of text: kind, repository or account, and workflow."""
    names = [publisher.get(key) for key in ("kind", "repository", "email", "workflow", "workflow_filepath")]
    return " ".join("".join(filter(str.isprintable, name)) for name in names if isinstance(name, str) and name)


def stated_publishers(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """Return the publishers of wheels by file name, as the attestations in `bundle` state them.

    `bundle` has verified them, and the manifest covers them. Raises `FileError`.
    """
    result: dict[str, tuple[str, ...]] = {}
    for file in bundle.manifest.files:
        if file.path.startswith(ATTESTATIONS):
            with contextlib.suppress(ValueError):
                name = file.path.removeprefix(ATTESTATIONS).removesuffix(SUFFIX)
                result[name] = publishers(bundle.read(file.path, LIMIT))
    return result
