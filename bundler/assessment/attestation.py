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
        names = {_text(bundle["publisher"]) for bundle in bundles}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("is not a provenance object") from None
    return tuple(sorted(names))


def stated_publishers(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """Return the publishers of wheels by file name, as the attestations in `bundle` state them.

    `bundle` has verified them, and the manifest covers them. Raises `FileError`.
    """
    result: dict[str, tuple[str, ...]] = {}
    for file in bundle.manifest.files:
        if file.path.startswith(ATTESTATIONS):
            data = bundle.read(file.path, LIMIT)
            name = file.path.removeprefix(ATTESTATIONS).removesuffix(SUFFIX)
            with contextlib.suppress(ValueError):
                result[name] = publishers(data)
    return result


def _text(publisher: Mapping[str, Any]) -> str:
    """Return a publisher as a line of text: kind, repository or account, and workflow."""
    words = []
    for key in ("kind", "repository", "email", "workflow", "workflow_filepath"):
        value = publisher.get(key)
        if isinstance(value, str) and value:
            words.append("".join(filter(str.isprintable, value)))
    return " ".join(words)
