"""Commands that sign bundles and verify them."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli.command import Command, base_option, json_option, with_trust
from bundler.cli.terminal import reporting, result, say
from bundler.errors import DamagedError
from bundler.units import counted
from wheelhouse.lazily import lazily

with lazily():
    from bundler import api, assurance, bundle_folder
    from bundler.assessment import attestation_check
    from bundler.bundles import delta, temporary
    from bundler.trust import signature as trust_signature
    from bundler.trust import ssh_keygen

_PATH = click.Path(path_type=Path)


@click.command(cls=Command, no_args_is_help=True)
@click.argument("path", metavar="PATH", type=_PATH)
@click.option(
    "--key",
    metavar="KEY",
    type=_PATH,
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
        signature = assurance.sign(path, key)
    result({"signature": signature}, [signature], as_json=as_json)


@click.command(cls=Command, no_args_is_help=True)
@click.argument("path", metavar="PATH", type=_PATH)
@with_trust
@click.option("--attestations", is_flag=True, help="Also verify the attestations of wheels (PEP 740), offline.")
@click.option(
    "--trusted-root", metavar="FILE", type=_PATH, help="Keys of Sigstore, instead of those in the package sigstore."
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
    damage: dict[str, list[str]] = {"missing": [], "changed": [], "foreign": []}
    approvals: list[trust_signature.Approval] = []
    publishers: dict[str, tuple[str, ...]] = {}
    if trusted_root and not attestations:
        raise click.UsageError("--trusted-root needs --attestations")
    count, is_open = 0, False
    try:
        with reporting() as report, temporary.unpacked([path], report, delta.base_of(base)) as paths:
            for each in paths:
                approvals += assurance.approvals(each, trust) if trust else []
                manifest = api.verify(each)
                count += len(manifest.files)
                publishers |= (
                    attestation_check.verify_bundle(bundle_folder.Bundle(folder=each, manifest=manifest), trusted_root)
                    if attestations
                    else {}
                )
                is_open |= trust_signature.is_signed(each) and not trust
    except DamagedError as error:
        if as_json:
            for kind, name in error.rows:
                damage[kind].append(name)
            result({"path": path, **damage}, [], as_json=True)
        raise
    if as_json:
        rows = [entry.to_dict() for entry in approvals]
        more = {"publishers": publishers} if attestations else {}
        result({"path": path, "files": count, **damage, "signatures": rows, **more}, [], as_json=True)
    elif attestations:
        result(None, [f"{name}  {', '.join(names)}" for name, names in publishers.items()])
        say(f"Verified the attestations of {counted(len(publishers), 'wheel')}")
    say(f"Verified {counted(count, 'file')} of {path}")
    for entry in approvals:
        say(f"Signed by {entry.signer} on {entry.signed[:10]}")
    if is_open:
        say("Signatures were not checked (use --trust ALLOWED_SIGNERS)")
