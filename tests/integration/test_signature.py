"""Nothing is accepted that an allowed signer did not sign: every kind of change to every kind of file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import api, assurance
from bundler.errors import SignatureError
from bundler.layout import MANIFEST, SIGNATURES, SUMS, sums
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.trust.signature import approvals, is_signed, sign
from bundler.trust.ssh_keygen import Trust
from tests.stand_ins.signers import allow, make_key
from wheelhouse.errors import WheelhouseError


@pytest.fixture(scope="module")
def signed(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundles, signed by Anna; and her key, and another one."""
    folder = tmp_path_factory.mktemp("signed")
    anna, ben = make_key(folder / "anna"), make_key(folder / "ben")
    for name, bundle in bundles.items():
        shutil.copytree(bundle, folder / name)
        sign(folder / name, anna)
    return {"anna": anna, "ben": ben, **{name: folder / name for name in bundles}}


@pytest.fixture
def bundle(signed: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(signed["second"], tmp_path / "bundle")


def one(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


FILES = {
    "manifest": MANIFEST,
    "sums": SUMS,
    "readme": "README.txt",
    "wheel": "wheels/alpha*",
    "script": "targets/*/*/solve.py",
    "uv lock": "targets/*/*/solve.py.lock",
    "pylock": "targets/*/*/pylock.*",
    "page": "targets/*/*/simple/alpha/index.html",
    "statement": f"{SIGNATURES}*.sums",
    "signature": f"{SIGNATURES}*.sig",
}


def flip(path: Path, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(path: Path, _: Path) -> None:
    path.unlink()


def add(path: Path, _: Path) -> None:
    path.with_name(f"more-{path.name}").write_bytes(path.read_bytes())


def swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def append(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


HARMS: dict[str, Callable[[Path, Path], None]] = {
    "flip": flip,
    "remove": remove,
    "add": add,
    "swap": swap,
    "append": append,
}


def seal(folder: Path, manifest: Manifest) -> None:
    """Write a manifest and SHA256SUMS that agree with the files, as somebody with the format in mind would."""
    entries = tuple(
        replace(
            file, size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for file in manifest.files
        if (path := folder / file.path).is_file()
    )
    data = replace(manifest, files=entries).to_json()
    (folder / MANIFEST).write_bytes(data)
    digests = {file.path: file.sha256 for file in entries} | {
        MANIFEST: hashlib.sha256(data).hexdigest()
    }
    (folder / SUMS).write_bytes(sums(digests))


def accepted(folder: Path, trust: Trust) -> bool:
    """Return whether everything that `verify --trust` checks is in order."""
    try:
        api.verify(folder)
        return bool(assurance.approvals(folder, trust))
    except WheelhouseError as error:
        assert "\nhint: " in str(error)  # noqa: PT017 - whichever error it is
        return False


def trusts(signed: dict[str, Path]) -> dict[str, Trust]:
    return {
        "right": allow(signed["anna"]),
        "wrong": allow(signed["ben"]),
        "expired": allow(signed["anna"], options='valid-before="20200101"'),
    }


def test_what_was_signed_is_accepted_with_the_right_key_only(signed: dict[str, Path]) -> None:
    for name in ("first", "second", "other"):
        assert [key for key, trust in trusts(signed).items() if accepted(signed[name], trust)] == [
            "right"
        ]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("consistent", [False, True], ids=["as it is", "with a new manifest"])
def test_a_changed_bundle_is_refused(
    signed: dict[str, Path], bundle: Path, kind: str, harm: str, consistent: bool
) -> None:
    manifest = read_manifest(bundle)
    path, other = one(bundle, FILES[kind]), one(signed["first"], FILES[kind])
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    HARMS[harm](path, other)
    if before == {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}:
        return  # The file is the same in both bundles.
    if consistent and kind not in ("manifest", "sums"):
        seal(bundle, manifest)
    if (kind, harm) == ("signature", "append"):
        return  # Its bytes are the same, with a line break at the end.
    assert not [key for key, trust in trusts(signed).items() if accepted(bundle, trust)]


def test_a_signature_under_another_name_changes_nothing(
    signed: dict[str, Path], bundle: Path
) -> None:
    for path in list((bundle / SIGNATURES).iterdir()):
        shutil.copy(path, path.with_name("0123456789abcdef" + path.name[16:]))
    assert accepted(bundle, allow(signed["anna"]))
    assert not accepted(bundle, allow(signed["ben"]))


@pytest.mark.parametrize("kind", ["missing", "damaged", "other", "unknown", "expired", "changed"])
def test_the_message_says_what_is_wrong(signed: dict[str, Path], bundle: Path, kind: str) -> None:
    trust = allow(signed["anna"])
    if kind == "missing":
        shutil.rmtree(bundle / SIGNATURES)
    elif kind == "damaged":
        one(bundle, FILES["signature"]).write_bytes(b"junk")
    elif kind == "other":
        shutil.rmtree(bundle / SIGNATURES)
        shutil.copytree(signed["first"] / SIGNATURES, bundle / SIGNATURES)
    elif kind == "changed":
        statement = one(bundle, FILES["statement"])
        statement.write_bytes(statement.read_bytes().replace(b"# signed: 2", b"# signed: 1"))
    else:
        trust = trusts(signed)["wrong" if kind == "unknown" else "expired"]
    with pytest.raises(SignatureError) as caught:
        approvals(bundle, trust)
    assert caught.value.problem == kind
    words = {
        "missing": "has no signature\n",
        "other": "for another SHA256SUMS and manifest.json",
        "unknown": "does not belong to an allowed signer",
        "changed": "does not match what it signs",
    }
    assert words.get(kind, kind) in str(caught.value)


def test_several_people_sign_and_one_good_signature_is_enough(
    signed: dict[str, Path], bundle: Path
) -> None:
    sign(bundle, signed["ben"])
    names = {"anna": allow(signed["anna"], "anna@site"), "ben": allow(signed["ben"], "ben@site")}
    assert {approvals(bundle, trust)[0].signer.name for trust in names.values()} == {
        "anna@site",
        "ben@site",
    }
    both = names["anna"].allowed
    both.write_text(both.read_text() + names["ben"].allowed.read_text())
    assert len(approvals(bundle, names["anna"])) == 2
    one(bundle, FILES["signature"]).write_bytes(b"junk")
    assert len(approvals(bundle, names["anna"])) == 1


def test_signing_again_replaces_the_signature(signed: dict[str, Path], bundle: Path) -> None:
    sign(bundle, signed["anna"])
    assert len(list((bundle / SIGNATURES).iterdir())) == 2
    assert accepted(bundle, allow(signed["anna"]))


def test_a_damaged_bundle_is_not_signed(signed: dict[str, Path], bundle: Path) -> None:
    flip(one(bundle, FILES["wheel"]), bundle)
    shutil.rmtree(bundle / SIGNATURES)
    with pytest.raises(WheelhouseError, match="changed  wheels/alpha"):
        assurance.sign(bundle, signed["anna"])
    assert not is_signed(bundle)


def test_links_and_pipes_are_not_signatures(
    signed: dict[str, Path], bundle: Path, tmp_path: Path
) -> None:
    for pattern in (FILES["signature"], FILES["statement"]):
        path = one(bundle, pattern)
        shutil.move(path, tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
        assert not accepted(bundle, allow(signed["anna"]))
        with pytest.raises(WheelhouseError, match="foreign"):
            api.verify(bundle)
        path.unlink()
        shutil.move(tmp_path / path.name, path)


def test_ssh_keygen_and_sha256sum_check_a_bundle_without_this_tool(
    signed: dict[str, Path], bundle: Path
) -> None:
    name, allowed = one(bundle, FILES["statement"]).name, allow(signed["anna"]).allowed
    verify = f"ssh-keygen -Y verify -f {allowed} -I anna@site -n bundle@hps-bundler -s signatures/{name}.sig"
    command = f"{verify} < signatures/{name} && sha256sum --check signatures/{name} && sha256sum --check SHA256SUMS"
    for expected in (0, 1):
        assert subprocess.run(["sh", "-c", command], cwd=bundle, check=False).returncode == expected
        flip(one(bundle, FILES["wheel"]), bundle)


@pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("gpgv")), reason="needs GnuPG")
def test_gnupg_is_the_other_way(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    gpg = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run(
        [*gpg, "--quick-generate-key", "anna@site", "default", "sign"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    keyring, sums = tmp_path / "trusted.gpg", bundle / SUMS
    subprocess.run([*gpg, "--output", keyring, "--export", "anna@site"], check=True)
    subprocess.run([*gpg, "--output", tmp_path / "eval.gpg", "--detach-sign", sums], check=True)
    for is_good in (True, False):
        done = subprocess.run(
            ["gpgv", "--keyring", keyring, tmp_path / "eval.gpg", sums], check=False
        )
        assert (done.returncode == 0) == is_good
        append(sums, sums)
    subprocess.run(["gpgconf", "--kill", "all"], check=True)


def test_an_archive_carries_the_signatures(signed: dict[str, Path], tmp_path: Path) -> None:
    api.pack([signed["second"], signed["other"]], tmp_path / "both.tar")
    for bundle in api.unpack(tmp_path / "both.tar", tmp_path / "there"):
        assert accepted(bundle, allow(signed["anna"]))


def test_the_signatures_are_not_part_of_what_the_same_inputs_determine(
    signed: dict[str, Path], bundles: dict[str, Path]
) -> None:
    assert (signed["first"] / MANIFEST).read_bytes() == (bundles["first"] / MANIFEST).read_bytes()
    assert (signed["first"] / SUMS).read_bytes() == (bundles["first"] / SUMS).read_bytes()
    assert json.loads((signed["first"] / MANIFEST).read_bytes())["format"] == 2
