"""The only way to `ssh-keygen`, which makes and checks signatures (SSHSIG, PROTOCOL.sshsig of OpenSSH).

It exits with 255 for every failure, so the reason is in its words, and in what other checks say.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import SignatureError
from wheelhouse import files, process

# Signatures for other purposes, such as those of git commits, have another namespace.
NAMESPACE = "bundle@hps-bundler"
_PROGRAM = "ssh-keygen"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
# Seconds; a check takes a few milliseconds.
_TIMEOUT = 60.0
# Options of `ssh-keygen -Y` came with 8.1, `find-principals` with 8.3 and validity with 8.9.
_TOO_OLD = re.compile(r"unknown option|illegal option|Unsupported operation|^usage:", re.MULTILINE)
_FINGERPRINT = re.compile(r"with (\S+) key (SHA256:[A-Za-z0-9+/]+)")
# A public key (RFC 4253), and its line in a file of allowed signers; ssh-keygen skips lines with other options.
_KEY = r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+\s+(?P<key>[A-Za-z0-9+/]{16,}={0,2})(\s.*)?"
_OPTION = r'(cert-authority|(namespaces|valid-after|valid-before)="[^"]*")'
_ALLOWED_LINE = re.compile(rf'(?P<names>"[^"]+"|[^\s"]+)\s+({_OPTION}(,{_OPTION})*\s+)?{_KEY}', re.IGNORECASE)
_REVOKED_LINE = re.compile(_KEY)
# Characters that some readers take for the end of a line, and ssh-keygen does not.
_AMBIGUOUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_KRL = b"SSHKRL\n\0"
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
    """An allowed signer, by the names in the file of allowed signers, and the fingerprint of the key."""

    names: tuple[str, ...]
    key: str

    @property
    def name(self) -> str:
        """The names as text."""
        return ", ".join(self.names)

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
    for place in filter(None, (path, trust.revoked)):
        with files.explained(place):
            if not stat.S_ISREG(place.stat().st_mode):
                raise SignatureError(f"{place} is not a regular file", hint="name a file with one key per line")
    with files.explained(path):
        mode = path.stat().st_mode
    if os.name == "posix" and mode & _WORLD_WRITABLE:
        raise SignatureError(f"{path} is writable by every user", hint=f"run `chmod o-w {path}`")
    entries = _entries(path)
    wrong = [number for number, line in entries if not _ALLOWED_LINE.fullmatch(line)]
    if wrong or not entries:
        fact = f"line {wrong[0]} is not an allowed signer" if wrong else "contains no allowed signer"
        raise SignatureError(
            f"{path}: {fact}",
            hint="write each line as NAME PUBLIC-KEY, such as `anna@example.com ssh-ed25519 AAAA...`, in plain UTF-8",
        )
    if trust.revoked is not None:
        _require_revoked(trust.revoked)


def _require_revoked(path: Path) -> None:
    """Raise `SignatureError` unless `path` is a key revocation list, or has a public key on each line."""
    with files.explained(path):
        if files.read_input(path).startswith(_KRL):
            return
    entries = _entries(path)
    wrong = [number for number, line in entries if not _REVOKED_LINE.fullmatch(line)]
    if wrong or not entries:
        # With a name before a key, ssh-keygen would revoke every key.
        fact = f"line {wrong[0]} is not a public key" if wrong else "contains no public key"
        raise SignatureError(
            f"{path}: {fact}",
            hint="write one public key per line, without names, such as `ssh-ed25519 AAAA...`, or create a list with "
            "`ssh-keygen -k`",
        )


def _entries(path: Path) -> list[tuple[int, str]]:
    """Return the lines of `path` with their numbers, without comments.

    Raises `FileError`, and `SignatureError` for a file that ssh-keygen could read in another way.
    """
    with files.explained(path):
        text = files.read_input(path).decode(errors="replace")
    lines = text.split("\n")
    strange = [number for number, line in enumerate(lines, 1) if _AMBIGUOUS.search(line)]
    if strange:
        raise SignatureError(
            f"{path}: line {strange[0]} contains a control character, which programs read in different ways",
            hint="save it as plain UTF-8 with Unix line ends",
        )
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]


def check(data: bytes, signature: bytes, trust: Trust) -> Signer:
    """Return the allowed signer of `data`. Raises `SignatureError`, which says what is wrong with `signature`."""
    with tempfile.TemporaryDirectory() as folder:
        message, path = Path(folder, "statement"), Path(folder, "statement.sig")
        message.write_bytes(data)
        path.write_bytes(signature)
        code, out, err = _run("find-principals", message, path, ["-f", trust.allowed])
        problem = err
        names = dict.fromkeys([*_names_of_key(trust.allowed, signature), *(out.splitlines() if not code else ())])
        for text in names:
            # Several names for one key are separated by commas; with "!", a name is excluded.
            for name in (name for name in text.split(",") if name and name[0] != "!"):
                options: list[str | Path] = ["-f", trust.allowed, "-I", name, "-n", NAMESPACE]
                revoked: list[str | Path] = ["-r", trust.revoked] if trust.revoked else []
                code, out, err = _run("verify", message, path, [*options, *revoked])
                if not code and (match := _FINGERPRINT.search(out)):
                    accepted = tuple(other for other in text.split(",") if other and other[0] != "!")
                    return Signer(names=accepted, key=match[2])
                problem = err
                if revoked and not _run("verify", message, path, options)[0]:
                    problem = "revoked"
        raise _problem(problem, message, path)


def _names_of_key(allowed: Path, signature: bytes) -> list[str]:
    """Return the names of all lines of `allowed` with the key of `signature`; ssh-keygen finds only the first."""
    try:
        key = base64.b64encode(public_key(signature)).decode().rstrip("=")
    except SignatureError:
        return []
    matches = (_ALLOWED_LINE.fullmatch(line) for _, line in _entries(allowed))
    return [match["names"].strip('"') for match in matches if match and match["key"].rstrip("=") == key]


def public_key(signature: bytes) -> bytes:
    """Return the public key in `signature` (PROTOCOL.sshsig). Raises `SignatureError`."""
    text = signature.decode("ascii", "replace").strip()
    try:
        blob = base64.b64decode("".join(text.removeprefix(_BEGIN).removesuffix(_END).split()), validate=True)
        (length,) = struct.unpack_from(">I", blob, 10)
        return bytes(struct.unpack_from(f"{length}s", blob, 14)[0])
    except (binascii.Error, struct.error, MemoryError) as error:
        raise SignatureError(f"contains no public key ({error})", problem="damaged") from None


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
