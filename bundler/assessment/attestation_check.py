"""Verify attestations of wheels (PEP 740): who published a file, proven by Sigstore, without network access."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pypi_attestations import AttestationError, Distribution, Provenance
from sigstore._internal import tuf
from sigstore._utils import read_embedded  # Neither has a public name.
from sigstore.errors import Error as SigstoreError

from bundler.assessment.attestation import LIMIT, SUFFIX, attestation_path, publishers
from bundler.bundle_folder import Bundle
from bundler.errors import BundlerError, CombinedError
from bundler.layout import ATTESTATIONS, WHEELS
from wheelhouse import files
from wheelhouse.errors import WheelhouseError

_Keys = Mapping[str, Any]
# Keys in a trusted root that are valid for a limited time.
_KINDS = ("certificateAuthorities", "tlogs", "ctlogs")


def verify_attestations(
    path: Path, data: bytes, trusted_root: Path | None = None
) -> tuple[str, ...]:
    """Verify the attestations in the provenance object `data` of the file `path`; return its publishers.

    Every attestation must be valid for this file and this publisher. `trusted_root` replaces the keys of Sigstore in
    the package `sigstore`, which change every few years. Nothing is sent or downloaded. Raises `BundlerError`.
    """
    try:
        provenance = Provenance.model_validate_json(data)
        distribution = Distribution.from_file(path)
        if not any(bundle.attestations for bundle in provenance.attestation_bundles):
            raise ValueError("it contains no attestation")  # noqa: TRY301 - one of the reasons below
        for bundle in provenance.attestation_bundles:
            for attestation in bundle.attestations:
                entries = attestation.verification_material.transparency_entries
                with _private_cache(_valid_then(_root(trusted_root), entries)):
                    attestation.verify(bundle.publisher, distribution, offline=True)
        return publishers(data)
    except (AttestationError, ValidationError, SigstoreError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BundlerError(
            f"{path.name}: its attestation is not valid ({reason})",
            hint="do not use this file, and find out where it comes from",
        ) from error


def verify_bundle(bundle: Bundle, trusted_root: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Verify the attestations in `bundle` again; return the publishers by file name.

    Raises `CombinedError` with all that are not valid.
    """
    publishers_by_name: dict[str, tuple[str, ...]] = {}
    errors: list[Exception] = []
    for file in bundle.manifest.files:
        if not file.path.startswith(ATTESTATIONS):
            continue
        name = file.path.removeprefix(ATTESTATIONS).removesuffix(SUFFIX)
        try:
            data = bundle.read(attestation_path(name), LIMIT)
            publishers_by_name[name] = verify_attestations(
                bundle.folder / WHEELS / name, data, trusted_root
            )
        except WheelhouseError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise CombinedError(errors)
    return publishers_by_name


def _root(path: Path | None) -> _Keys:
    """Return the keys of Sigstore in the file `path`, or in the package. Raises `ValueError`, `FileError`."""
    data = (
        files.read_plain(path, LIMIT)
        if path
        else read_embedded("trusted_root.json", tuf.DEFAULT_TUF_URL)
    )
    root = json.loads(data)
    if not isinstance(root, dict):
        raise ValueError("the trusted root is not one")  # noqa: TRY004 - as for other malformed ones
    return root


def _valid_then(root: _Keys, entries: Sequence[_Keys]) -> _Keys:
    """Return the keys in `root` that were valid when the transparency log recorded `entries`; sigstore accepts others.

    Raises `ValueError`.
    """
    try:
        times = [
            datetime.fromtimestamp(int(entry["integratedTime"]), timezone.utc) for entry in entries
        ]
        valid = dict(root)
        for kind, keys in root.items():
            if kind in _KINDS:
                valid[kind] = [
                    key for key in keys if all(_covers(key, kind, time) for time in times)
                ]
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the trusted root or its log entry is malformed ({error})") from None
    return valid


def _covers(key: _Keys, kind: str, time: datetime) -> bool:
    if kind != "certificateAuthorities":
        key = key["publicKey"]
    start = _time(key["validFor"].get("start"))
    end = _time(key["validFor"].get("end"))
    return (start is None or start <= time) and (end is None or time <= end)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    # Python 3.10 reads neither "Z" nor fractions of any length.
    return datetime.fromisoformat(f"{text[:19]}+00:00")


@contextlib.contextmanager
def _private_cache(root: _Keys) -> Iterator[None]:
    """Let sigstore use the keys `root` in a cache that nobody else can write to; no home folder is needed."""
    before = dict(os.environ)
    logger = logging.getLogger("sigstore")
    level = logger.level
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            dict.fromkeys(("XDG_CACHE_HOME", "XDG_DATA_HOME", "HOME", "LOCALAPPDATA"), folder)
        )
        logger.setLevel(logging.ERROR)  # It would warn that it is offline.
        try:
            _, cache = tuf._get_dirs(tuf.DEFAULT_TUF_URL)  # noqa: SLF001 - it has no public name
            cache.mkdir(parents=True)
            (cache / "trusted_root.json").write_text(json.dumps(root))
            yield
        finally:
            logger.setLevel(level)
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)
