"""Run `ssh-keygen` to create and check signatures (SSHSIG, PROTOCOL.sshsig of OpenSSH).

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
_ALLOWED_LINE = re.compile(
    rf'(?P<names>"[^"]+"|[^\s"]+)\s+({_OPTION}(,{_OPTION})*\s+)?{_KEY}',
    re.IGNORECASE,
)
_REVOKED_LINE = re.compile(_KEY)
# Characters that some readers take for the end of a line, and ssh-keygen does not.
_AMBIGUOUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_KRL = b"SSHKRL\n\0"
_WORLD_WRITABLE = 0o002
# A word of ssh-keygen, and what it means: the problem, the fact and a hint.
_BROKEN = (
    (
        "namespace",
        "purpose",
        "was made for another purpose",
        "sign with `bundler sign`",
    ),
    (
        "incorrect signature",
        "changed",
        "does not match what it signs",
        "find out who changed it",
    ),
    ("", "damaged", "is damaged", "copy the bundle again, or sign it again"),
)
_REFUSED = (
    ("revoked", "revoked", "was revoked", "do not use this bundle"),
    (
        "expired",
        "expired",
        "has expired",
        "have the bundle signed again with a valid key",
    ),
    (
        "not yet valid",
        "early",
        "is not yet valid",
        "check the clock, and valid-after in the line of the key",
    ),
    (
        "not permitted",
        "purpose",
        "is not allowed to sign bundles",
        f'add "{NAMESPACE}" to the namespaces of its line',
    ),
    (
        "",
        "unknown",
        "does not belong to an allowed signer",
        "if you trust its owner, add the key to the file",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Allowed signers and revoked keys: a file of signers, and a list of keys or a KRL."""

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
        code = process.attended(
            [_program(), "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, message]
        )
        if code or not signature.is_file():
            raise SignatureError(
                f"{_PROGRAM} could not sign with {key}",
                hint="see the message of ssh-keygen above",
            )
        return signature.read_bytes()


def require_key(key: Path) -> None:
    """Raise `SignatureError` unless there is a file `key`, and `ssh-keygen`."""
    if not key.is_file():
        raise SignatureError(
            f"{key}: no such key",
            hint="name a private key, or the public key of one in the agent",
        )
    _program()


def require_trust(trust: Trust) -> None:
    """Raise `SignatureError` unless the files of `trust` can be used; ssh-keygen skips lines that it cannot read."""
    path = trust.allowed
    mode = _mode_of_file(path)
    if trust.revoked is not None:
        _mode_of_file(trust.revoked)
    if os.name == "posix" and mode & _WORLD_WRITABLE:
        raise SignatureError(f"{path} is writable by every user", hint=f"run `chmod o-w {path}`")
    _require_entries(
        path,
        _ALLOWED_LINE,
        "an",
        "allowed signer",
        "write each line as NAME PUBLIC-KEY, such as `anna@example.com ssh-ed25519 AAAA...`, in plain UTF-8",
    )
    if trust.revoked is not None:
        _require_revoked(trust.revoked)


def _mode_of_file(path: Path) -> int:
    """Return the mode of `path`. Raises `SignatureError` unless it is a regular file, `FileError`."""
    with files.explained(path):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise SignatureError(
            f"{path} is not a regular file",
            hint="name a file with one key per line",
        )
    return mode


def _require_entries(
    path: Path, pattern: re.Pattern[str], article: str, kind: str, hint: str
) -> None:
    """Raise `SignatureError` unless `path` has lines of this `kind`, and no others."""
    entries = _entries(path)
    if not entries:
        raise SignatureError(f"{path}: contains no {kind}", hint=hint)
    for number, line in entries:
        if not pattern.fullmatch(line):
            raise SignatureError(f"{path}: line {number} is not {article} {kind}", hint=hint)


def _require_revoked(path: Path) -> None:
    """Raise `SignatureError` unless `path` is a key revocation list, or has a public key on each line."""
    with files.explained(path):
        is_list = files.read_input(path).startswith(_KRL)
    if is_list:
        return
    # With a name before a key, ssh-keygen would revoke every key.
    _require_entries(
        path,
        _REVOKED_LINE,
        "a",
        "public key",
        "write one public key per line, without names, such as `ssh-ed25519 AAAA...`, or create a list with "
        "`ssh-keygen -k`",
    )


def _entries(path: Path) -> list[tuple[int, str]]:
    """Return the lines of `path` with their numbers, without comments.

    Raises `FileError`, and `SignatureError` for a file that ssh-keygen could read in another way.
    """
    entries = []
    for number, line in enumerate(files.read_text(path).split("\n"), 1):
        if _AMBIGUOUS.search(line):
            raise SignatureError(
                f"{path}: line {number} contains a control character, which programs read in different ways",
                hint="save it as plain UTF-8 with Unix line ends",
            )
        entry = line.strip()
        if entry and entry[0] != "#":
            entries.append((number, entry))
    return entries


def check(data: bytes, signature: bytes, trust: Trust) -> Signer:
    """Return the allowed signer of `data`. Raises `SignatureError`, which says what is wrong with `signature`."""
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder, "statement")
        path = Path(folder, "statement.sig")
        message.write_bytes(data)
        path.write_bytes(signature)
        code, out, problem = _run("find-principals", message, path, ["-f", trust.allowed])
        entries = _names_of_key(trust.allowed, signature)
        if code == 0:
            entries += out.splitlines()
        for entry in dict.fromkeys(entries):
            names = _accepted(entry)
            for name in names:
                key, problem = _verified(message, path, name, trust)
                if key:
                    return Signer(names=names, key=key)
        raise _problem(problem, message, path)


def _accepted(entry: str) -> tuple[str, ...]:
    """Return the names of one key, which commas separate; a name with "!" is excluded."""
    return tuple(name for name in entry.split(",") if name and name[0] != "!")


def _verified(message: Path, path: Path, name: str, trust: Trust) -> tuple[str, str]:
    """Return the fingerprint of the key if the signature `path` of `message` is by `name`, or else "" and why not."""
    options = ("-f", trust.allowed, "-I", name, "-n", NAMESPACE)
    revoked = ("-r", trust.revoked) if trust.revoked else ()
    code, out, err = _run("verify", message, path, (*options, *revoked))
    match = _FINGERPRINT.search(out)
    if code == 0 and match:
        return match[2], ""
    if revoked:
        code, _, _ = _run("verify", message, path, options)
        if code == 0:
            return "", "revoked"
    return "", err


def _names_of_key(allowed: Path, signature: bytes) -> list[str]:
    """Return the names of all lines of `allowed` with the key of `signature`; ssh-keygen finds only the first."""
    try:
        key = base64.b64encode(public_key(signature)).decode().rstrip("=")
    except SignatureError:
        return []
    names = []
    for _, line in _entries(allowed):
        match = _ALLOWED_LINE.fullmatch(line)
        if match and match["key"].rstrip("=") == key:
            names.append(match["names"].strip('"'))
    return names


def public_key(signature: bytes) -> bytes:
    """Return the public key in `signature` (PROTOCOL.sshsig). Raises `SignatureError`."""
    text = signature.decode("ascii", "replace").strip()
    encoded = text.removeprefix(_BEGIN).removesuffix(_END)
    try:
        blob = base64.b64decode("".join(encoded.split()), validate=True)
        (length,) = struct.unpack_from(">I", blob, 10)
        (key,) = struct.unpack_from(f"{length}s", blob, 14)
    except (binascii.Error, struct.error, MemoryError) as error:
        raise SignatureError(f"contains no public key ({error})", problem="damaged") from None
    return bytes(key)


def _problem(words: str, message: Path, path: Path) -> SignatureError:
    """Return the error for a signature of which ssh-keygen said `words`."""
    code, out, err = _run("check-novalidate", message, path, ["-n", NAMESPACE])
    if code:
        words = err
    match = _FINGERPRINT.search(out)
    for word, problem, fact, hint in _BROKEN if code else _REFUSED:
        if word in words:
            sentence = f"the key {match[2]} {fact}" if match else fact
            return SignatureError(sentence, problem=problem, hint=hint)
    raise AssertionError(words)  # The last word of both tables is in every text.


def _run(
    operation: str, message: Path, path: Path, options: Sequence[str | Path]
) -> tuple[int, str, str]:
    code, out, err = process.run(
        [_program(), "-Y", operation, "-s", path, *options],
        stdin=message,
        env={"LC_ALL": "C"},
        timeout=_TIMEOUT,
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
