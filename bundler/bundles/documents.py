"""Documents about a bundle that are written with it: bills of materials, provenance and attestations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from bundler.bundle_folder import Bundle
from bundler.bundles.indexes import Indexes
from bundler.bundles.plan import Plan
from bundler.bundles.writer import write_manifest
from bundler.layout import ATTESTATIONS, PROVENANCE, SBOMS
from bundler.lazily import lazily
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress, Report
from bundler.trust.attachments import attach
from bundler.trust.provenance import provenance
from bundler.trust.signature import is_signed
from bundler.units import counted
from wheelhouse import atomic
from wheelhouse.resolve import uv

with lazily():
    from bundler.bundles import attesting
    from wheelhouse.fetch import releases as wheelhouse_releases


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The documents to write about a bundle: bills of materials, provenance, and attestations of its wheels."""

    sbom: bool = False
    provenance: bool = False
    attestations: bool = False


NO_DOCUMENTS = Documents()


def has_documents(output: Path, documents: Documents) -> bool:
    """Return whether the bundle `output` has `documents`."""
    paths = [file.path for file in read_manifest(output).files]
    if documents.sbom and not any(path.startswith(SBOMS) for path in paths):
        return False
    if documents.attestations and not any(path.startswith(ATTESTATIONS) for path in paths):
        return False
    return not documents.provenance or (output / PROVENANCE).is_file()


def write_documents(
    folder: Path,
    plan: Plan,
    documents: Documents,
    indexes: Indexes,
    pool: ThreadPoolExecutor,
    began: str,
    before: Bundle | None,
    *,
    report: Report,
) -> Manifest:
    """Write the manifest of the bundle whose other files are in `folder`, and `documents`; return the manifest.

    `began` is the time when the work began (UTC, ISO 8601), `before` the bundle that will be replaced. Reports a
    warning for each project whose publisher is another one now, and for signatures that are lost. Raises
    `CombinedError` for invalid attestations.
    """
    releases: dict[str, wheelhouse_releases.Release] = {}
    if documents.provenance or documents.attestations:
        report(Progress(text=f"Asking indexes about {counted(len(plan.wheels()), 'wheel')}"))
        releases = wheelhouse_releases.find_releases(
            plan.wheels(), indexes.elsewhere, indexes.credentials
        )
    if documents.attestations:
        attesting.add_attestations(folder, releases, indexes.credentials, pool)
    manifest = write_manifest(folder, plan, sbom=documents.sbom)
    if documents.provenance:
        facts = {name: release.facts() for name, release in releases.items()}
        urls = ["file:" if url.startswith("file:") else url for url in indexes.urls]
        atomic.write(
            folder / PROVENANCE, provenance(manifest, urls, facts, uv.version(), (began, now()))
        )
    if before is not None:
        after = Bundle(folder=folder, manifest=manifest)
        if documents.attestations:
            for change in attesting.publisher_changes(before, after):
                report(
                    Progress(kind="warning", text=f"{change}\nhint: find out why before you use it")
                )
        _keep_signatures(before, after, report)
    return manifest


def _keep_signatures(before: Bundle, after: Bundle, report: Report) -> None:
    """Give the signatures of `before` to `after` if they cover the same bytes; report a warning if they do not."""
    if not is_signed(before.folder):
        return
    if before.manifest == after.manifest:
        attach(before.folder, after.folder, after.folder)
    if not is_signed(after.folder):
        text = "the signatures of the previous bundle do not cover the new one\nhint: have it signed again"
        report(Progress(kind="warning", text=text))


def now() -> str:
    """Return the time (UTC, ISO 8601)."""
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
