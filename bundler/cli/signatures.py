"""Commands that sign bundles and verify them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bundler.cli.command import (
    PATH,
    base_option,
    command,
    flag,
    json_option,
    path_argument,
    with_trust,
)
from bundler.cli.terminal import reporting, result, say
from bundler.errors import DamagedError
from bundler.lazily import lazily
from bundler.units import counted

with lazily():
    from bundler import api, assurance, bundle_folder, layout, manifest as manifests
    from bundler.assessment import attestation_check
    from bundler.bundles import delta, temporary
    from bundler.trust import signature, ssh_keygen


@command()
@path_argument
@click.option(
    "--key",
    metavar="KEY",
    type=PATH,
    required=True,
    help="Private ssh key, or the public key of a key in the ssh agent.",
)
@json_option
def sign(path: Path, key: Path, as_json: bool) -> None:
    """Sign a bundle or publication with an ssh key.

    Verifies every file in the folder PATH, then signs the digests of manifest.json, SHA256SUMS and provenance.json (if
    it exists) with `ssh-keygen`. Several people can sign the same bundle. Prints the path of the signature. See
    `bundler guide signatures` for how to check it, with or without this tool.

    \b
    Examples:
        bundler sign eval.bundle --key ~/.ssh/id_ed25519
        bundler sign eval.bundle --key ~/.ssh/id_ed25519.pub    # the private key is in the agent
    """
    with reporting():
        signed = assurance.sign(path, key)
    result({"signature": signed}, [signed], as_json=as_json)


@command()
@path_argument
@with_trust
@flag("--attestations", help="Also verify the attestations of wheels (PEP 740), offline.")
@click.option(
    "--trusted-root",
    metavar="FILE",
    type=PATH,
    help="Keys of Sigstore, instead of those in the package sigstore.",
)
@base_option
@json_option
def verify(
    path: Path,
    trust: ssh_keygen.Trust | None,
    attestations: bool,
    trusted_root: Path | None,
    base: Path | None,
    as_json: bool,
) -> None:
    """Verify every file of a bundle or publication.

    Compares the SHA-256 digest of every file below PATH with the manifest, and lists the files that are missing,
    changed or foreign (not in the manifest). PATH may also be an archive. With --trust, also requires a signature of an
    allowed signer. With --attestations, prints the publisher of each wheel that has one. With --json, prints all this.

    \b
    Examples:
        bundler verify eval.bundle
        bundler verify eval.bundle --trust allowed_signers
        bundler verify /shared/store/publications/eval-0123456789ab --json
    """
    if trusted_root and not attestations:
        raise click.UsageError("--trusted-root needs --attestations")
    approvals: list[signature.Approval] = []
    publishers: dict[str, tuple[str, ...]] = {}
    count = 0
    is_unchecked = False
    try:
        with (
            reporting() as report,
            temporary.unpacked([path], report, delta.base_of(base)) as folders,
        ):
            for folder in folders:
                if trust:
                    approvals += assurance.approvals(folder, trust)
                manifest = api.verify(folder)
                count += len(manifest.files)
                if attestations:
                    publishers |= _publishers(folder, manifest, trusted_root)
                if not trust and signature.is_signed(folder):
                    is_unchecked = True
    except DamagedError as error:
        if as_json:
            result({"path": path, **_by_kind(error.rows)}, [], as_json=True)
        raise
    _show_verified(path, count, approvals, publishers if attestations else None, as_json=as_json)
    if is_unchecked:
        say("Signatures were not checked (use --trust ALLOWED_SIGNERS)")


def _publishers(
    folder: Path, manifest: manifests.Manifest, trusted_root: Path | None
) -> dict[str, tuple[str, ...]]:
    """Return the publishers of the wheels that have attestations, by file name."""
    # What checks them is in an extra, which nobody needs if there are none.
    if not any(file.path.startswith(layout.ATTESTATIONS) for file in manifest.files):
        return {}
    bundle = bundle_folder.Bundle(folder=folder, manifest=manifest)
    return attestation_check.verify_bundle(bundle, trusted_root)


def _show_verified(
    path: Path,
    count: int,
    approvals: Sequence[signature.Approval],
    publishers: Mapping[str, Sequence[str]] | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        document = {"path": path, "files": count, **_by_kind([])}
        document["signatures"] = [entry.to_dict() for entry in approvals]
        if publishers is not None:
            document["publishers"] = publishers
        result(document, [], as_json=True)
    elif publishers is not None:
        result(None, [f"{name}  {', '.join(names)}" for name, names in publishers.items()])
        say(f"Verified the attestations of {counted(len(publishers), 'wheel')}")
    say(f"Verified {counted(count, 'file')} of {path}")
    for entry in approvals:
        say(f"Signed by {entry.signer} on {entry.signed[:10]}")


def _by_kind(damage: Iterable[tuple[str, str]]) -> dict[str, Any]:
    names: dict[str, list[str]] = {"missing": [], "changed": [], "foreign": []}
    for kind, name in damage:
        names[kind].append(name)
    return names
