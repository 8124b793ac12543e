"""The only way to `ssh-keygen`, which makes and checks signatures (SSHSIG, PROTOCOL.sshsig of OpenSSH).

It exits with 255 for every failure, so the reason is in its words, and in what other checks say.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.errors import SignatureError
from wheelhouse import files, process

if TYPE_CHECKING:
    from collections.abc import Sequence

# Signatures for other purposes, such as those of git commits, have another namespace.
NAMESPACE = "bundle@hps-bundler"
_PROGRAM = "ssh-keygen"
# Seconds; a check takes a few milliseconds.
_TIMEOUT = 60.0
# Options of `ssh-keygen -Y` came with 8.1, `find-principals` with 8.3 and validity with 8.9.
_TOO_OLD = re.compile(r"unknown option|illegal option|Unsupported operation|^usage:", re.MULTILINE)
_FINGERPRINT = re.compile(r"with (\S+) key (SHA256:[A-Za-z0-9+/]+)")
# A public key (RFC 4253) in a line of allowed signers, after the principals and options.
_ALLOWED_LINE = re.compile(r"\S+\s.*?((sk-)?(ssh|ecdsa)-[a-z0-9@.-]+)\s+[A-Za-z0-9+/]{16,}={0,2}(\s.*)?")
_WORLD_WRITABLE = 0o002
# A word of ssh-keygen, and what it means: the problem, the fact and a hint.
_BROKEN = (
    ("namespace", "purpose", "was made for another purpose", "sign with `bundler sign`"),
    ("incorrect signature", "changed", "does not match what it signs", "find out who changed it"),
    ("", "damaged", "is damaged", "copy the bundle again, or sign it again"),
)
_REFUSED = (
    ("revoked", "revoked", "was revoked", "do not use this bundle"),
    ("expired", "expired", "has expired", "have the bundle signed again with a valid key"),
    (
        "not yet valid",
        "early",
        "is not yet valid",
        "check the clock, and valid-after in the line of the key",
    ),
    ("not permitted", "purpose", "is not allowed to sign bundles", f'add "{NAMESPACE}" to the namespaces of its line'),
    ("", "unknown", "does not belong to an allowed signer", "if you trust its owner, add the key to the file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe: a file of allowed signers, and one of revoked keys (a list of keys or a KRL)."""

    allowed: Path
    revoked: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An allowed signer, by the name in the file of allowed signers, and the fingerprint of the key."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"


def sign(data: bytes, key: Path) -> bytes:
    """Return the signature of `data` with the private key `key`, or with the agent's key for a public one.

    ssh-keygen asks for a passphrase or a touch on the terminal. Raises `SignatureError`.
    """
    require_key(key)
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder, "statement")
        message.write_bytes(data)
        # A new file: if there were a signature already, ssh-keygen would keep it and report success.
        signature = message.with_name("statement.sig")
        code = process.attended([_program(), "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, message])
        if code or not signature.is_file():
            raise SignatureError(f"{_PROGRAM} could not sign with {key}", hint="see the message of ssh-keygen above")
        return signature.read_bytes()


def require_key(key: Path) -> None:
    """Raise `SignatureError` unless there is a file `key`, and `ssh-keygen`."""
    if not key.is_file():
        raise SignatureError(f"{key}: no such key", hint="name a private key, or the public key of one in the agent")
    _program()


def require_trust(trust: Trust) -> None:
    """Raise `SignatureError` unless the files of `trust` can be used; ssh-keygen skips lines that it cannot read."""
    path = trust.allowed
    with files.explained(path):
        mode = path.stat().st_mode
        lines = files.read_input(path).decode(errors="replace").splitlines()
    if os.name == "posix" and mode & _WORLD_WRITABLE:
        raise SignatureError(f"{path} is writable by every user", hint=f"run `chmod o-w {path}`")
    entries = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]
    wrong = [number for number, line in entries if not _ALLOWED_LINE.fullmatch(line.strip())]
    if wrong or not entries:
        fact = f"line {wrong[0]} is not an allowed signer" if wrong else "contains no allowed signer"
        raise SignatureError(
            f"{path}: {fact}", hint="write each line as NAME PUBLIC-KEY, such as `anna@example.com ssh-ed25519 AAAA...`"
        )
    if trust.revoked is not None:
        with files.explained(trust.revoked):
            files.read_input(trust.revoked)


def check(data: bytes, signature: bytes, trust: Trust) -> Signer:
    """Return the allowed signer of `data`. Raises `SignatureError`, which says what is wrong with `signature`."""
    with tempfile.TemporaryDirectory() as folder:
        message, path = Path(folder, "statement"), Path(folder, "statement.sig")
        message.write_bytes(data)
        path.write_bytes(signature)
        code, out, err = _run("find-principals", message, path, ["-f", trust.allowed])
        problem = err
        # Several names for one key are separated by commas.
        for name in (line.split(",")[0] for line in out.splitlines() if not code):
            options: list[str | Path] = ["-f", trust.allowed, "-I", name, "-n", NAMESPACE]
            revoked: list[str | Path] = ["-r", trust.revoked] if trust.revoked else []
            code, out, err = _run("verify", message, path, [*options, *revoked])
            if not code and (match := _FINGERPRINT.search(out)):
                return Signer(name=name, key=match[2])
            problem = err
            if revoked and not _run("verify", message, path, options)[0]:
                problem = "revoked"
        raise _problem(problem, message, path)


def _problem(words: str, message: Path, path: Path) -> SignatureError:
    """Return the error for a signature of which ssh-keygen said `words`."""
    code, out, err = _run("check-novalidate", message, path, ["-n", NAMESPACE])
    match = _FINGERPRINT.search(out)
    for word, problem, fact, hint in _BROKEN if code else _REFUSED:
        if word in (err if code else words):
            return SignatureError(f"the key {match[2]} {fact}" if match else fact, problem=problem, hint=hint)
    raise AssertionError(words)  # The last word of both tables is in every text.


def _run(operation: str, message: Path, path: Path, options: Sequence[str | Path]) -> tuple[int, str, str]:
    code, out, err = process.run(
        [_program(), "-Y", operation, "-s", path, *options], stdin=message, env={"LC_ALL": "C"}, timeout=_TIMEOUT
    )
    if code and _TOO_OLD.search(err):
        raise _unusable(f"this {_PROGRAM} is too old to check signatures")
    return code, out, err


def _program() -> str:
    program = shutil.which(_PROGRAM)
    if program is None:
        raise _unusable(f"{_PROGRAM} was not found")
    return program


def _unusable(fact: str) -> SignatureError:
    return SignatureError(
        fact,
        problem="program",
        hint="install OpenSSH 8.9 or newer, or check the bundle without it: `bundler guide signatures`",
    )
