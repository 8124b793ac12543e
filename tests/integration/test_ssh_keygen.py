"""Signatures by the real ssh-keygen, and what is wrong with those that it refuses."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.errors import SignatureError
from bundler.trust.ssh_keygen import NAMESPACE, Trust, check, require_trust, sign
from tests.stand_ins.signers import allow, make_key

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGH6tKsuy043RpqLvf6N0H3Xzu"
PURPOSE = f'namespaces="{NAMESPACE}"'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("anna", "ben")}


def problem(data: bytes, signature: bytes, trust: Trust) -> tuple[str, str]:
    with pytest.raises(SignatureError) as caught:
        check(data, signature, trust)
    assert caught.value.hint
    return caught.value.problem, str(caught.value)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_signature_of_an_allowed_signer_is_accepted(tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / "key", kind)
    signer = check(b"text", sign(b"text", key), allow(key))
    fingerprint = subprocess.run(
        ["ssh-keygen", "-l", "-f", key], capture_output=True, text=True, check=True
    ).stdout
    assert signer.name == "anna@site"
    assert signer.key in fingerprint


def test_a_signer_has_all_names_of_the_line_but_none_that_is_excluded(
    keys: dict[str, Path],
) -> None:
    trust = allow(keys["anna"], "!ben@site,anna@site,team@site")
    signer = check(b"text", sign(b"text", keys["anna"]), trust)
    assert signer.names == ("anna@site", "team@site")
    assert str(signer).startswith("anna@site, team@site (SHA256:")


def test_every_line_with_a_key_counts(keys: dict[str, Path]) -> None:
    git, ours = (
        allow(keys["anna"], name, options)
        for name, options in (("git@site", 'namespaces="git"'), ("anna@site", PURPOSE))
    )
    git.allowed.write_text(git.allowed.read_text() + ours.allowed.read_text())
    assert check(b"text", sign(b"text", keys["anna"]), git).names == ("anna@site",)


@pytest.mark.parametrize(
    ("options", "expected", "words"),
    [
        (f'{PURPOSE},valid-before="20200101"', "expired", "has expired"),
        (f'{PURPOSE},valid-after="20990101"', "early", "is not yet valid"),
        ('namespaces="git"', "purpose", "is not allowed to sign bundles"),
    ],
)
def test_the_line_of_a_signer_limits_it(
    keys: dict[str, Path], options: str, expected: str, words: str
) -> None:
    kind, text = problem(b"text", sign(b"text", keys["anna"]), allow(keys["anna"], options=options))
    assert kind == expected
    assert "SHA256:" in text
    assert words in text


def test_a_valid_line_counts_even_next_to_an_expired_one(keys: dict[str, Path]) -> None:
    expired, valid = (
        allow(keys["anna"], options=text).allowed for text in ('valid-before="20200101"', PURPOSE)
    )
    expired.write_text(expired.read_text() + valid.read_text())
    assert check(b"text", sign(b"text", keys["anna"]), Trust(allowed=expired)).name == "anna@site"


def test_an_unknown_key_is_refused(keys: dict[str, Path]) -> None:
    kind, text = problem(b"text", sign(b"text", keys["ben"]), allow(keys["anna"]))
    assert kind == "unknown"
    assert "does not belong to an allowed signer" in text


@pytest.mark.parametrize("is_list", [True, False])
def test_a_revoked_key_is_refused(keys: dict[str, Path], tmp_path: Path, is_list: bool) -> None:
    revoked = tmp_path / "revoked"
    if is_list:
        shutil.copy(keys["anna"].with_suffix(".pub"), revoked)
    else:
        subprocess.run(
            ["ssh-keygen", "-q", "-k", "-f", revoked, keys["anna"].with_suffix(".pub")], check=True
        )
    trust = Trust(allowed=allow(keys["anna"]).allowed, revoked=revoked)
    assert problem(b"text", sign(b"text", keys["anna"]), trust)[0] == "revoked"
    other = Trust(allowed=allow(keys["ben"]).allowed, revoked=revoked)
    assert check(b"text", sign(b"text", keys["ben"]), other).name == "anna@site"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "contains no public key"),
        (b"# nobody\n", "contains no public key"),
        (b"garbage\n", "line 1 is not a public key"),
        (b"\0damaged list", "line 1 contains a control character"),
        (
            f"anna@site {PUBLIC}\n".encode(),
            "line 1 is not a public key\nhint: write one public key per line, without",
        ),
    ],
)
def test_a_list_of_revoked_keys_that_revokes_nobody_or_everybody_is_refused(
    keys: dict[str, Path], tmp_path: Path, data: bytes, words: str
) -> None:
    (tmp_path / "revoked").write_bytes(data)
    with pytest.raises(SignatureError, match=words):
        require_trust(Trust(allowed=allow(keys["anna"]).allowed, revoked=tmp_path / "revoked"))


def test_a_signature_of_other_data_is_refused(keys: dict[str, Path]) -> None:
    kind, text = problem(b"other", sign(b"text", keys["anna"]), allow(keys["anna"]))
    assert kind == "changed"
    assert "does not match what it signs" in text


def test_a_signature_for_another_purpose_is_refused(keys: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"text")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", keys["anna"], "-n", "git", tmp_path / "m"],
        check=True,
    )
    kind, text = problem(
        b"text", (tmp_path / "m.sig").read_bytes(), allow(keys["anna"], options="")
    )
    assert kind == "purpose"
    assert "was made for another purpose" in text


def test_a_damaged_signature_is_refused(keys: dict[str, Path]) -> None:
    signature = sign(b"text", keys["anna"])
    for data in (
        b"",
        b"junk",
        signature[:100],
        signature.replace(b"SIGNATURE", b"SIGNATORY"),
        b"\0" * 999,
    ):
        assert problem(b"text", data, allow(keys["anna"]))[0] == "damaged"


def test_a_certificate_of_an_allowed_authority_is_accepted(tmp_path: Path) -> None:
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    subprocess.run(
        [
            "ssh-keygen",
            "-q",
            "-s",
            authority,
            "-I",
            "id",
            "-n",
            "carl@site",
            key.with_suffix(".pub"),
        ],
        check=True,
    )
    trust = allow(authority, "*@site", f"cert-authority,{PURPOSE}")
    signature = sign(b"text", tmp_path / "key-cert.pub")
    assert check(b"text", signature, trust).name == "carl@site"
    assert problem(b"text", sign(b"text", key), trust)[0] == "unknown"


def test_a_key_in_the_agent_signs(
    keys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            while not socket.exists():
                pass
            subprocess.run(["ssh-add", "-q", keys["anna"]], check=True, stderr=subprocess.DEVNULL)
            public = shutil.copy(keys["anna"].with_suffix(".pub"), tmp_path / "only.pub")
            assert (
                check(b"text", sign(b"text", Path(public)), allow(keys["anna"])).name == "anna@site"
            )
        finally:
            agent.terminate()


def test_the_passphrase_of_a_key_is_asked_for_on_the_terminal(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", key], check=True)
    program = f"from bundler.trust.ssh_keygen import sign; from pathlib import Path; sign(b'text', Path({str(key)!r}))"
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])  # noqa: S606 - a child with its own terminal
    shown = b""
    while b"passphrase" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"secret\n")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    os.close(terminal)


def test_a_key_that_does_not_exist_or_is_not_one_cannot_sign(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match=r"no such key\nhint: name a private key"):
        sign(b"text", tmp_path / "none")
    (tmp_path / "junk").write_text("junk")
    (tmp_path / "junk").chmod(0o600)
    with pytest.raises(SignatureError, match="could not sign with"):
        sign(b"text", tmp_path / "junk")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "contains no allowed signer"),
        ("# only a comment\n", "contains no allowed signer"),
        ("anna@site\n", "line 1 is not an allowed signer"),
        (
            "\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGH6tKsuy043RpqLvf6N0H3Xzu\n",
            "line 2 is not an allowed signer",
        ),
        ("anna@site ssh-ed25519 AAAA!\n", "line 1"),
        (f"anna@site namespaces=git {PUBLIC}\n", "line 1"),
        (f"anna@site garbage {PUBLIC}\n", "line 1"),
        (f"\ufeffanna@site {PUBLIC} \n!\n", "line 1 contains a control character"),
        (f"anna@site {PUBLIC} \n!\n", "line 2"),
    ],
)
def test_a_file_of_signers_that_ssh_keygen_would_skip_in_part_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "allowed").write_text(text)
    with pytest.raises(SignatureError, match=words):
        require_trust(Trust(allowed=tmp_path / "allowed"))


def test_a_file_of_signers_that_everyone_can_change_is_refused(keys: dict[str, Path]) -> None:
    trust = allow(keys["anna"])
    trust.allowed.chmod(0o666)
    with pytest.raises(SignatureError, match="is writable by every user\nhint: run `chmod o-w"):
        require_trust(trust)


def test_a_machine_without_ssh_keygen_or_with_an_old_one_is_told_the_other_way(
    keys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, trust = sign(b"text", keys["anna"]), allow(keys["anna"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert problem(b"text", signature, trust)[0] == "program"
    # As OpenSSH 8.0 of RHEL 8 says it, which cannot be installed here.
    (tmp_path / "ssh-keygen").write_text("#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n")
    (tmp_path / "ssh-keygen").chmod(0o755)
    kind, text = problem(b"text", signature, trust)
    assert kind == "program"
    assert "bundler guide signatures" in text


@pytest.mark.parametrize(
    "end", ["\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
@pytest.mark.parametrize("which", ["allowed", "revoked"])
def test_a_list_that_ssh_keygen_reads_in_another_way_is_refused(
    keys: dict[str, Path], tmp_path: Path, end: str, which: str
) -> None:
    """Each line of old Macs after the first one is a comment for ssh-keygen, so a revoked key would be accepted."""
    lines = {name: keys[name].with_suffix(".pub").read_text().strip() for name in ("anna", "ben")}
    path = tmp_path / which
    prefix = "x@site " if which == "allowed" else ""
    path.write_text(
        f"{prefix}{lines['ben']}{end}{prefix}{lines['anna']}{end}", encoding="utf-8", newline=""
    )
    allowed = path if which == "allowed" else allow(keys["anna"]).allowed
    with pytest.raises(SignatureError, match="contains a control character"):
        require_trust(Trust(allowed=allowed, revoked=path if which == "revoked" else None))


@pytest.mark.parametrize("which", ["allowed", "revoked"])
def test_a_list_that_is_no_file_is_refused_at_once(
    keys: dict[str, Path], tmp_path: Path, which: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    trust = Trust(allowed=allow(keys["anna"]).allowed, revoked=tmp_path / "pipe")
    if which == "allowed":
        trust = Trust(allowed=tmp_path / "pipe")
    with pytest.raises(SignatureError, match="is not a regular file"):
        require_trust(trust)
