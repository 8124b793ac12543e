"""The library for those who approve bundles: sign, audit, rebuild and review them.

Expected failures raise a `BundlerError` or another `WheelhouseError`, whose text says what is wrong and what to do.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bundler.bundle_folder import open_bundle
from bundler.bundles.verify import verify
from bundler.cache import cache_folder
from bundler.errors import BundlerError, SignatureError
from bundler.layout import EXEC_SCRIPT
from bundler.lazily import lazily
from bundler.progress import Report, silent
from wheelhouse import atomic

with lazily():
    from bundler import manifest_reader
    from bundler.assessment import (
        acceptance,
        audit as assessment_audit,
        findings,
        review,
        sbom as assessment_sbom,
        snapshot as assessment_snapshot,
    )
    from bundler.bundles import rebuild as bundle_rebuild
    from bundler.publications import authenticity, overview
    from bundler.trust import signature, ssh_keygen
    from wheelhouse.store import store


def sign(path: str | Path, key: str | Path) -> Path:
    """Verify the bundle or publication `path` and sign it with the ssh key `key`; return the path of the signature.

    Raises `SignatureError`, and the errors of `verify`.
    """
    verify(Path(path))
    return signature.sign(Path(path), Path(key))


def approvals(path: str | Path, trust: ssh_keygen.Trust) -> list[signature.Approval]:
    """Return the signatures of the bundle or publication `path` by the signers in `trust`, the newest first.

    They cover the digest of every file; `verify` compares the files with these. Raises `SignatureError` if there is no
    signature or the execution script is another one, `BundlerError` or `WheelhouseError`.
    """
    folder = Path(path)
    result = signature.approvals(folder, trust)
    if (folder / EXEC_SCRIPT).is_file():
        authenticity.genuine_script(folder, result[0])
    return result


def rebuild(
    bundle: str | Path,
    output: str | Path | None = None,
    *,
    build: bool = False,
    report: Report = silent,
) -> bundle_rebuild.Difference:
    """Build `bundle` again from the scripts, locks and versions in it; return the files that differ.

    The new bundle goes to the empty folder `output`, or is deleted. With `build`, also builds from source what was
    built, which runs code that the bundle names. Raises `BundlerError` or `WheelhouseError`.
    """
    path = Path(bundle)
    if output is not None:
        _require_unused(Path(output))
    verify(path)
    with tempfile.TemporaryDirectory() as folder:
        # uv resolves ".." in paths without following links.
        scratch = Path(folder).resolve()
        difference = bundle_rebuild.rebuild(
            path, scratch, cache_folder(), build=build, report=report
        )
        if output is not None:
            with atomic.building(Path(output), replace=False) as kept:
                shutil.copytree(scratch / "again" / path.absolute().name, kept, dirs_exist_ok=True)
    return difference


def _require_unused(output: Path) -> None:
    """Raise `BundlerError` unless the folder `output` is empty or does not exist."""
    if output.is_dir() and not any(output.iterdir()):
        return
    if os.path.lexists(output):
        raise BundlerError(f"{output} exists", hint="choose another folder, or remove this one")


def sbom(path: str | Path) -> dict[str, bytes]:
    """Verify the bundle or publication `path`; return a bill of materials (CycloneDX 1.6) per script and target.

    The keys are the paths that they have in a bundle with `sbom`. Raises `BundlerError` or `WheelhouseError`.
    """
    return assessment_sbom.sboms(verify(Path(path)))


def audit(
    paths: Sequence[str | Path], advisories: str | Path, *, accept: str | Path | None = None
) -> tuple[list[assessment_audit.Finding], int, assessment_snapshot.Snapshot]:
    """Return the known vulnerabilities of bundles, publications and stores, the number of packages, and the snapshot.

    `advisories` is a zip file or folder of OSV records, `accept` an OpenVEX document with accepted findings. Raises
    `BundlerError` or `WheelhouseError`.
    """
    accepted = acceptance.read_acceptances(Path(accept)) if accept is not None else []
    snapshot = assessment_snapshot.read_snapshot(Path(advisories))
    packages = assessment_audit.merged(
        overview.published_packages(store.open_store(path))
        if (path / "store.json").exists()
        else assessment_audit.packages_of(manifest_reader.read_manifest(path), path.name)
        for path in map(Path, paths)
    )
    return assessment_audit.audit(packages, snapshot, accepted), len(packages), snapshot


def report(
    path: str | Path,
    *,
    trust: ssh_keygen.Trust | None = None,
    since: str | Path | None = None,
    advisories: str | Path | None = None,
    accept: str | Path | None = None,
) -> dict[str, Any]:
    """Verify the bundle or publication `path`; return what somebody needs to approve it.

    This is the document that `bundler report --json` prints. `since` is an earlier bundle or publication; see `audit`
    for the others. A signature that is missing or not accepted is part of the document. Raises `BundlerError` or
    `WheelhouseError`.
    """
    folder = Path(path)
    today = datetime.now(timezone.utc).date()
    bundle = verify(folder)
    audited = None
    if advisories is not None:
        audited = findings.document(*audit([folder], advisories, accept=accept), today)
    signatures: list[signature.Approval] | None = None
    problem = ""
    if trust is not None:
        try:
            signatures = approvals(folder, trust)
        except SignatureError as error:
            signatures = []
            problem = "; ".join([error.message, *error.facts])
    earlier = open_bundle(Path(since)) if since is not None else None
    return review.review(
        bundle, today, approvals=signatures, problem=problem, since=earlier, audit=audited
    )
