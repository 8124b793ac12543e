"""Sign bundles and publications, and find out who signed them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bundler.errors import SignatureError
from bundler.layout import MANIFEST, PROVENANCE, SIGNATURES, SUMS, is_attached, sums
from bundler.manifest_reader import MANIFEST_LIMIT, parse
from bundler.trust import ssh_keygen, statement
from bundler.trust.attached import LIMIT, MOST_SIGNATURES, SIGNATURE, STATEMENT, too_many
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
        return {"name": self.signer.name, **asdict(self.signer), "signed": self.signed}


def sign(folder: Path, key: Path) -> Path:
    """Sign the bundle or publication in `folder`, whose files were verified, with `key`; return the new file.

    It replaces an earlier signature with the same key. Raises `SignatureError`, `FileError`.
    """
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    data = statement.Statement(now, _digests(folder)).to_bytes()
    signature = ssh_keygen.sign(data, key)
    place = folder / SIGNATURES / hashlib.sha256(ssh_keygen.public_key(signature)).hexdigest()[:_ID_LENGTH]
    # An interruption in between leaves a signature that does not match, never one that says something else.
    atomic.write(place.with_suffix(STATEMENT), data)
    atomic.write(place.with_suffix(SIGNATURE), signature)
    return place.with_suffix(SIGNATURE)


def is_signed(folder: Path) -> bool:
    """Return whether there is a signature, which was not checked."""
    return bool(_statements(folder))


def approvals(folder: Path, trust: Trust) -> list[Approval]:
    """Return the signatures of allowed signers of the bundle or publication in `folder`, the newest first.

    Raises `SignatureError` if there is none, and says what is wrong with the others.
    """
    ssh_keygen.require_trust(trust)
    digests = _digests(folder)
    good: list[Approval] = []
    errors: list[SignatureError] = []
    for path in _statements(folder):
        try:
            good.append(_approval(path, digests, trust))
        except SignatureError as error:
            if error.problem == "program":
                raise
            errors.append(error)
    if good:
        return sorted(good, key=lambda approval: approval.signed, reverse=True)
    if not errors:
        raise SignatureError(
            f"{folder} has no signature",
            problem="missing",
            hint="have it signed with `bundler sign`",
        )
    # That of an unknown key says least.
    first = min(errors, key=lambda error: error.problem == "unknown")
    raise SignatureError(
        f"{folder} has no signature of a signer in {trust.allowed}",
        problem=first.problem,
        facts=[f"{path.name}: {error.message}" for path, error in zip(_statements(folder), errors, strict=True)],
        hint=first.hint or "",
    )


def _approval(path: Path, digests: dict[str, str], trust: Trust) -> Approval:
    """Return who signed the statement `path`. Raises `SignatureError`, also if it is about other files."""
    try:
        data = files.read_plain(path, statement.LIMIT)
        signature = files.read_plain(path.with_suffix(SIGNATURE), LIMIT)
        signed = statement.parse(data)
    except ValueError:
        raise SignatureError("is damaged", problem="damaged", hint="copy the bundle again") from None
    except FileError as error:
        raise SignatureError(str(error), problem="damaged", hint="copy the bundle again") from error
    signer = ssh_keygen.check(data, signature, trust)
    if wrong := sorted(name for name in {*digests, *signed.digests} if digests.get(name) != signed.digests.get(name)):
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
    data = files.read_plain(folder / MANIFEST, MANIFEST_LIMIT)
    manifest = hashlib.sha256(data).hexdigest()
    listed = {file.path: file.sha256 for file in parse(data, folder / MANIFEST).files}
    digests = {MANIFEST: manifest, SUMS: hashlib.sha256(sums({**listed, MANIFEST: manifest})).hexdigest()}
    if (folder / PROVENANCE).exists():
        digests[PROVENANCE] = hashlib.sha256(files.read_plain(folder / PROVENANCE, LIMIT)).hexdigest()
    return digests


def _statements(folder: Path) -> list[Path]:
    place = folder / SIGNATURES
    if not place.is_dir():
        return []
    with files.explained(place):
        paths = sorted(place.iterdir())
    statements = [path for path in paths if is_attached(f"{SIGNATURES}{path.name}") and path.name.endswith(STATEMENT)]
    if len(statements) > MOST_SIGNATURES:
        raise too_many(folder)
    return statements
