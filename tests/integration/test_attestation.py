"""Attestations (PEP 740): a real one from another project, and what is done with those that are not valid."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import api
from bundler.assessment.attestation import publishers, stated_publishers
from bundler.assessment.attestation_check import verify_attestations, verify_bundle
from bundler.bundle_folder import Bundle
from bundler.bundles.attesting import publisher_changes
from bundler.errors import BundlerError
from bundler.layout import ATTESTATIONS
from bundler.manifest import File
from bundler.manifest_reader import read_manifest
from tests.conftest import Workplace
from tests.integration.test_signature import seal
from tests.stand_ins.wheels import make_wheel

# Next to a checkout of the developers; not in the repository, since it is a file of others.
FIXTURE = Path(__file__).parents[3] / "shared" / "fixtures" / "attestations"
NAME = "pypi_attestations-0.0.19.tar.gz"
PUBLISHER = "GitHub trailofbits/pypi-attestations release.yml"
needs_fixture = pytest.mark.skipif(
    not (FIXTURE / NAME).is_file(), reason="needs the attestation of another project"
)


@pytest.fixture
def attested(tmp_path: Path) -> Path:
    """A folder with a file and its real attestation."""
    for name in (NAME, f"{NAME}.provenance"):
        shutil.copy(FIXTURE / name, tmp_path)
    return tmp_path


def check(folder: Path, **options: Path) -> tuple[str, ...]:
    return verify_attestations(
        folder / NAME, (folder / f"{NAME}.provenance").read_bytes(), **options
    )


@needs_fixture
def test_a_real_attestation_names_its_publisher(attested: Path) -> None:
    before = dict(os.environ)
    assert check(attested) == (PUBLISHER,)
    assert dict(os.environ) == before


@needs_fixture
@pytest.mark.parametrize(
    "harm", ["file", "repository", "workflow", "kind", "signature", "certificate", "nothing inside"]
)
def test_a_change_is_refused(attested: Path, harm: str) -> None:
    path = attested / f"{NAME}.provenance"
    document = json.loads(path.read_bytes())
    bundle = document["attestation_bundles"][0]
    attestation = bundle["attestations"][0]
    if harm == "file":
        (attested / NAME).write_bytes((attested / NAME).read_bytes() + b"\0")
    elif harm in ("repository", "workflow"):
        bundle["publisher"][harm] = "evil/other" if harm == "repository" else "evil.yml"
    elif harm == "kind":
        bundle["publisher"] = {"kind": "Google", "email": "evil@x.test"}
    elif harm == "signature":
        attestation["envelope"]["signature"] = attestation["envelope"]["signature"][::-1]
    elif harm == "certificate":
        attestation["verification_material"]["certificate"] = "AAAA"
    else:
        bundle["attestations"] = []
    path.write_text(json.dumps(document))
    with pytest.raises(
        BundlerError, match=f"{NAME}: its attestation is not valid .*\nhint: do not use this file"
    ):
        check(attested)


@needs_fixture
def test_an_attestation_of_another_file_is_refused(attested: Path) -> None:
    other = attested / "pypi_attestations-0.0.20.tar.gz"
    shutil.copy(attested / NAME, other)
    with pytest.raises(BundlerError, match="is not valid"):
        verify_attestations(other, (attested / f"{NAME}.provenance").read_bytes())


@needs_fixture
def test_keys_that_have_expired_are_refused_and_others_can_be_given(attested: Path) -> None:
    from sigstore._internal.tuf import DEFAULT_TUF_URL  # noqa: PLC0415 - an extra
    from sigstore._utils import read_embedded  # noqa: PLC0415 - an extra

    root = json.loads(read_embedded("trusted_root.json", DEFAULT_TUF_URL))
    (attested / "root.json").write_text(json.dumps(root))
    assert check(attested, trusted_root=attested / "root.json") == (PUBLISHER,)
    past = {"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}
    for kind, changed in (
        (
            "certificateAuthorities",
            [{**entry, "validFor": past} for entry in root["certificateAuthorities"]],
        ),
        (
            "tlogs",
            [
                {**entry, "publicKey": {**entry["publicKey"], "validFor": past}}
                for entry in root["tlogs"]
            ],
        ),
        ("tlogs", 5),
    ):
        (attested / "root.json").write_text(json.dumps({**root, kind: changed}))
        with pytest.raises(BundlerError, match="is not valid"):
            check(attested, trusted_root=attested / "root.json")


@needs_fixture
@pytest.mark.skipif(
    not shutil.which("unshare") or os.geteuid() != 0, reason="needs network namespaces"
)
def test_no_network_and_no_home_are_needed(attested: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bundler.assessment.attestation_check import verify_attestations\n"
        "print(*verify_attestations(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))"
    )
    command = [
        "unshare",
        "--net",
        sys.executable,
        "-c",
        program,
        str(attested / NAME),
        f"{attested / NAME}.provenance",
    ]
    if shutil.which("strace"):
        command = ["strace", "-f", "-e", "trace=connect", "-o", str(attested / "trace"), *command]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=attested,
        env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{PUBLISHER}\n", "")
    if shutil.which("strace"):
        assert "AF_INET" not in (attested / "trace").read_text()


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"attestation_bundles": [5]}', b"[" * 100_000, b"\xff"]
)
def test_what_is_not_a_provenance_object_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match="is not a provenance object"):
        publishers(data)
    name, wheel = make_wheel("alpha")
    (tmp_path / name).write_bytes(wheel)
    with pytest.raises(BundlerError, match="its attestation is not valid"):
        verify_attestations(tmp_path / name, data)


def stated(repository: str) -> bytes:
    publisher = {
        "kind": "GitHub",
        "repository": repository,
        "workflow": "release.yml",
        "environment": None,
    }
    return json.dumps(
        {"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": []}]}
    ).encode()


@pytest.fixture
def offering(workplace: Workplace) -> Workplace:
    """A workplace whose index offers an attestation for alpha."""
    name = workplace.index.add(make_wheel("alpha"))
    workplace.index.facts[name] = {"provenance": f"{workplace.index.url}/files/{name}.provenance"}
    workplace.index.files[f"{name}.provenance"] = stated("good/alpha")
    workplace.script("eval.py", "alpha")
    return workplace


def test_an_attestation_that_is_not_valid_stops_the_bundle(offering: Workplace) -> None:
    done = offering.run("bundle", "eval.py", "--attestations")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "alpha-1.0-py3-none-any.whl: its attestation is not valid (it contains no attestation)"
        in done.stderr
    )
    assert not (offering.folder / "eval.bundle").exists()
    assert offering.run("bundle", "eval.py").returncode == 0


def test_an_attestation_that_cannot_be_downloaded_stops_the_bundle(offering: Workplace) -> None:
    del offering.index.files["alpha-1.0-py3-none-any.whl.provenance"]
    done = offering.run("bundle", "eval.py", "--attestations")
    assert done.returncode == 1
    assert "provenance" in done.stderr
    assert "\nhint: " in done.stderr


def test_an_index_without_attestations_is_fine_and_they_are_optional(offering: Workplace) -> None:
    offering.index.facts = {"alpha-1.0-py3-none-any.whl": {"provenance": "file:///etc/passwd"}}
    assert offering.run("bundle", "eval.py", "--attestations").returncode == 0
    done = offering.run("bundler", "verify", "eval.bundle", "--attestations")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Verified the attestations of 0 wheels\n" in done.stderr
    assert offering.run("bundler", "verify", "eval.bundle", "--trusted-root", "x").returncode == 2


def with_attestation(bundle: Path, filename: str, data: bytes) -> None:
    """Put an attestation into a bundle, as if it had been verified, and leave the manifest to the caller."""
    (bundle / ATTESTATIONS).mkdir(exist_ok=True)
    (bundle / ATTESTATIONS / f"{filename}.provenance").write_bytes(data)


def test_a_publisher_that_changed_or_disappeared_is_reported(offering: Workplace) -> None:
    bundle = offering.bundle("eval.py")
    manifest, name = read_manifest(bundle), "alpha-1.0-py3-none-any.whl"
    path = f"{ATTESTATIONS}{name}.provenance"
    listed = replace(manifest, files=(*manifest.files, File(path=path, size=1, sha256="0" * 64)))
    old, new = (shutil.copytree(bundle, offering.folder / which) for which in ("old", "new"))
    with_attestation(old, name, stated("good/alpha"))
    with_attestation(new, name, stated("evil/alpha"))
    before, after = (Bundle(folder=folder, manifest=listed) for folder in (old, new))
    assert stated_publishers(before) == {name: ("GitHub good/alpha release.yml",)}
    assert publisher_changes(before, before) == []
    assert publisher_changes(before, after) == [
        "alpha was published by GitHub good/alpha release.yml, and is now by GitHub evil/alpha release.yml"
    ]
    assert publisher_changes(before, Bundle(folder=bundle, manifest=manifest)) == [
        "alpha was published by GitHub good/alpha release.yml, and is now by nobody"
    ]
    with pytest.raises(BundlerError, match="is not valid"):
        verify_bundle(before)


def test_a_bundle_with_attestations_verifies_and_is_published(
    offering: Workplace, tmp_path: Path
) -> None:
    bundle = offering.bundle("eval.py")
    name = "alpha-1.0-py3-none-any.whl"
    with_attestation(bundle, name, stated("good/alpha"))
    manifest = read_manifest(bundle)
    path = f"{ATTESTATIONS}{name}.provenance"
    listed = tuple(
        sorted(
            (*manifest.files, File(path=path, size=1, sha256="0" * 64)), key=lambda file: file.path
        )
    )
    seal(bundle, replace(manifest, files=listed))
    assert api.verify(bundle)
    publication = api.publish(bundle, tmp_path / "store")
    assert (publication / path).is_file()
