"""Sign bundles and publications, and find out who signed them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bundler.errors import SignatureError
from bundler.layout import (
    MANIFEST,
    PROVENANCE,
    SIGNATURES,
    SUMS,
    is_attached,
    sums,
)
from bundler.manifest_reader import MANIFEST_LIMIT, parse
from bundler.trust import ssh_keygen, statement
from bundler.trust.attachments import (
    LIMIT,
    MOST_SIGNATURES,
    SIGNATURE,
    STATEMENT,
    too_many,
)
from bundler.trust.ssh_keygen import Signer, Trust
from wheelhouse import atomic, files
from wheelhouse.errors import FileError

_ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A signature that was checked: the signer, when it was made (UTC, ISO 8601), and the SHA-256 of the manifest."""

    signer: Signer
    signed: str
    manifest: str

    def to_dict(self) -> dict[str, Any]:
        """Return the signature as JSON output has it."""
        return {
            "name": self.signer.name,
            **asdict(self.signer),
            "signed": self.signed,
        }


def sign(folder: Path, key: Path) -> Path:
    """Sign the bundle or publication in `folder`, whose files were verified, with `key`; return the new file.

    It replaces an earlier signature with the same key. Raises `SignatureError`, `FileError`.
    """
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = statement.Statement(now, _digests(folder)).to_bytes()
    signature = ssh_keygen.sign(data, key)
    name = files.bytes_sha256(ssh_keygen.public_key(signature))[:_ID_LENGTH]
    path = folder / SIGNATURES / f"{name}{SIGNATURE}"
    # An interruption in between leaves a signature that does not match, never one that says something else.
    atomic.write(path.with_name(f"{name}{STATEMENT}"), data)
    atomic.write(path, signature)
    return path


def is_signed(folder: Path) -> bool:
    """Return whether there is a signature, which was not checked."""
    return bool(_statements(folder))


def approvals(folder: Path, trust: Trust) -> list[Approval]:
    """Return the signatures of allowed signers of the bundle or publication in `folder`, the newest first.

    Raises `SignatureError` if there is none, and says what is wrong with the others.
    """
    ssh_keygen.require_trust(trust)
    digests = _digests(folder)
    good = []
    errors = {}
    for path in _statements(folder):
        try:
            good.append(_approval(path, digests, trust))
        except SignatureError as error:
            if error.problem == "program":
                raise
            errors[path.name] = error
    if good:
        return sorted(good, key=lambda approval: approval.signed, reverse=True)
    if not errors:
        raise SignatureError(
            f"{folder} has no signature",
            problem="missing",
            hint="have it signed with `bundler sign`",
        )
    # An unknown key is the least informative error.
    first = min(errors.values(), key=lambda error: error.problem == "unknown")
    raise SignatureError(
        f"{folder} has no signature of a signer in {trust.allowed}",
        problem=first.problem,
        facts=[f"{name}: {error.message}" for name, error in errors.items()],
        hint=first.hint or "",
    )


def _approval(path: Path, digests: dict[str, str], trust: Trust) -> Approval:
    """Return who signed the statement `path`. Raises `SignatureError`, also if it is about other files."""
    try:
        data = files.read_plain(path, statement.LIMIT)
        signature = files.read_plain(path.with_suffix(SIGNATURE), LIMIT)
        signed = statement.parse(data)
    except ValueError:
        raise SignatureError(
            "is damaged", problem="damaged", hint="copy the bundle again"
        ) from None
    except FileError as error:
        raise SignatureError(str(error), problem="damaged", hint="copy the bundle again") from error
    signer = ssh_keygen.check(data, signature, trust)
    names = sorted({*digests, *signed.digests})
    wrong = [name for name in names if digests.get(name) != signed.digests.get(name)]
    if wrong:
        raise SignatureError(
            f"signed by {signer.name} for another {' and '.join(wrong)}",
            problem="other",
            hint="it is not the bundle that was signed; find out who changed it",
        )
    return Approval(signer=signer, signed=signed.signed, manifest=digests[MANIFEST])


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests of the files that a signature covers, which list all others.

    SHA256SUMS is that of the bundle, also for its publication, which has more files.
    """
    path = folder / MANIFEST
    data = files.read_plain(path, MANIFEST_LIMIT)
    digest = files.bytes_sha256(data)
    listed = {file.path: file.sha256 for file in parse(data, path).files}
    listed[MANIFEST] = digest
    digests = {
        MANIFEST: digest,
        SUMS: files.bytes_sha256(sums(listed)),
    }
    provenance = folder / PROVENANCE
    if provenance.exists():
        digests[PROVENANCE] = files.bytes_sha256(files.read_plain(provenance, LIMIT))
    return digests


def _statements(folder: Path) -> list[Path]:
    place = folder / SIGNATURES
    if not place.is_dir():
        return []
    with files.explained(place):
        paths = [path for path in sorted(place.iterdir()) if path.name.endswith(STATEMENT)]
    statements = [path for path in paths if is_attached(f"{SIGNATURES}{path.name}")]
    if len(statements) > MOST_SIGNATURES:
        raise too_many(folder)
    return statements
