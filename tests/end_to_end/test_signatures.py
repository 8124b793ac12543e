"""Signing, verifying and publishing on the command line, as the guide on signatures describes it."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tests.conftest import Workplace
from tests.stand_ins.signers import allow, make_key
from tests.stand_ins.wheels import make_wheel

PURPOSE = 'namespaces="bundle@hps-bundler"'


@pytest.fixture
def signing(workplace: Workplace) -> Workplace:
    """A workplace with a script, the keys of Anna and Ben, and files that allow one of them each."""
    workplace.index.add(make_wheel("alpha"))
    workplace.script("eval.py", "alpha")
    for name in ("anna", "ben"):
        key = make_key(workplace.folder / name)
        shutil.move(allow(key, f"{name}@site").allowed, workplace.folder / f"only-{name}")
    return workplace


def test_a_bundle_is_signed_verified_and_published(signing: Workplace) -> None:
    assert signing.run("bundle", "eval.py", "--sign", "anna").stdout == "eval.bundle\n"
    done = signing.run("bundler", "verify", "eval.bundle")
    assert "Signatures were not checked (use --trust ALLOWED_SIGNERS)\n" in done.stderr
    done = signing.run("bundler", "verify", "eval.bundle", "--trust", "only-anna")
    assert re.search(r"Signed by anna@site \(SHA256:\S+\) on \d{4}-\d\d-\d\d\n", done.stderr)
    assert (
        signing.run(
            "bundler", "store", "init", "store", "--require-signature", "only-anna"
        ).returncode
        == 0
    )
    done = signing.run("publish-index", "store", "eval.bundle")
    assert done.returncode == 0, done.stderr
    done = signing.run("bundler", "verify", done.stdout.strip(), "--trust", "only-anna", "--json")
    assert [entry["name"] for entry in json.loads(done.stdout)["signatures"]] == ["anna@site"]


def test_signing_prints_the_path_of_the_signature(signing: Workplace) -> None:
    signing.bundle("eval.py")
    done = signing.run("bundler", "sign", "eval.bundle", "--key", "anna")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"eval.bundle/signatures/[0-9a-f]{16}\.sums\.sig\n", done.stdout)
    document = json.loads(
        signing.run("bundler", "sign", "eval.bundle", "--key", "anna", "--json").stdout
    )
    assert document == {"signature": done.stdout.strip()}


def test_an_archive_has_the_signatures_of_its_bundle(signing: Workplace) -> None:
    done = signing.run("bundle", "eval.py", "--sign", "anna", "--archive")
    assert (
        signing.run("bundler", "verify", done.stdout.strip(), "--trust", "only-anna").returncode
        == 0
    )
    assert (
        signing.run("bundler", "verify", done.stdout.strip(), "--trust", "only-ben").returncode == 1
    )
    done = signing.run("publish-index", "store", "eval.tar", "--trust", "only-anna")
    assert done.returncode == 0, done.stderr


def test_a_new_bundle_has_no_old_signature(signing: Workplace) -> None:
    assert signing.run("bundle", "eval.py", "--sign", "anna").returncode == 0
    signing.index.add(make_wheel("alpha", "2.0"))
    assert signing.run("bundle", "eval.py", "--upgrade").returncode == 0
    done = signing.run("bundler", "verify", "eval.bundle", "--trust", "only-anna")
    assert (done.returncode, done.stderr) == (
        1,
        "error: eval.bundle has no signature\nhint: have it signed with `bundler sign`\n",
    )


def test_the_same_bundle_made_again_keeps_its_signatures_and_another_one_says_that_they_are_lost(
    signing: Workplace,
) -> None:
    signing.run("bundle", "eval.py", "--sign", "anna")
    done = signing.run("bundle", "eval.py", "--attestations")
    assert (done.returncode, "do not cover" in done.stderr) == (0, False)
    assert signing.run("bundler", "verify", "eval.bundle", "--trust", "only-anna").returncode == 0
    done = signing.run("bundle", "eval.py", "--sbom")
    assert (
        "warning: the signatures of the previous bundle do not cover the new one\nhint: have it"
        in done.stderr
    )
    assert signing.run("bundler", "verify", "eval.bundle", "--trust", "only-anna").returncode == 1


def test_a_key_that_is_missing_is_noticed_before_anything_is_downloaded(signing: Workplace) -> None:
    done = signing.run("bundle", "eval.py", "--sign", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nobody: no such key\nhint: ")
    assert not (signing.folder / "eval.bundle").exists()


def test_a_bundle_of_an_unknown_signer_is_refused_and_nothing_is_published(
    signing: Workplace,
) -> None:
    signing.run("bundle", "eval.py", "--sign", "ben")
    done = signing.run("publish-index", "store", "eval.bundle", "--trust", "only-anna")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert "error: eval.bundle has no signature of a signer in only-anna" in lines
    assert lines[-1] == "hint: if you trust its owner, add the key to the file"
    assert not list((signing.folder / "store" / "publications").iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("bundler", "verify", "eval.bundle", "--revoked", "only-anna"),
        ("publish-index", "eval.bundle", "--upload", "http://127.0.0.1:1/", "--trust", "only-anna"),
    ],
)
def test_options_that_would_have_no_effect_are_wrong_usage(
    signing: Workplace, arguments: tuple[str, ...]
) -> None:
    signing.bundle("eval.py")
    done = signing.run(*arguments)
    assert done.returncode == 2
    assert "--trust" in done.stderr
