"""A signature covers a whole publication: what it does not list is what publish-index writes for the bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from bundler import api, assurance, compose
from bundler.errors import SignatureError
from bundler.layout import COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, README, RUN, SUMS
from bundler.manifest_reader import read_manifest
from bundler.publications.approval import Policy, require_signatures
from bundler.publications.authenticity import genuine_script, require_approved
from bundler.publications.execution import describe, render, render_run, to_json
from tests.stand_ins.signers import allow, make_key
from wheelhouse.errors import WheelhouseError
from wheelhouse.store.creation import create_store


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "anna")


@pytest.fixture
def publication(bundles: dict[str, Path], tmp_path: Path, anna: Path) -> Path:
    bundle = shutil.copytree(bundles["second"], tmp_path / "solve.bundle")
    assurance.sign(bundle, anna)
    return api.publish(bundle, tmp_path / "store")


def forge(publication: Path, name: str, data: bytes) -> None:
    """Replace a file and its line in SHA256SUMS."""
    path, listed = publication / name, publication / SUMS
    lines = [line for line in listed.read_text().splitlines() if not line.endswith(f"  {name}")]
    for file in (path, listed):
        file.chmod(0o644)
    path.write_bytes(data)
    lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}")
    listed.write_text("".join(f"{line}\n" for line in sorted(lines, key=lambda line: line[66:])))


def test_what_publish_index_writes_is_genuine_and_jobs_know_who_signed_it(
    publication: Path, anna: Path
) -> None:
    submission = compose(publication, [{}], trust=allow(anna))
    (approval,) = submission.approved
    assert approval.signer.name == "anna@site"
    text = f"anna@site ({approval.signer.key}) on {approval.signed}, manifest {approval.manifest}"
    assert f"'approved': {text!r}" in submission.exec_script.decode()
    assert (
        approval.manifest
        == hashlib.sha256((publication / "manifest.json").read_bytes()).hexdigest()
    )


def test_without_trust_nothing_is_checked_and_nothing_is_said(publication: Path) -> None:
    submission = compose(publication, [{}])
    assert submission.approved == ()
    assert submission.exec_script == (publication / EXEC_SCRIPT).read_bytes()


def test_the_store_can_require_signatures_for_jobs(
    publication: Path, tmp_path: Path, anna: Path
) -> None:
    place = create_store(publication.parent.parent)
    require_signatures(place, allow(make_key(tmp_path / "ben")).allowed)
    with pytest.raises(SignatureError, match="does not belong to an allowed signer"):
        compose(publication, [{}])
    require_signatures(place, allow(anna).allowed)
    assert compose(publication, [{}]).approved


@pytest.mark.parametrize("name", [EXEC_SCRIPT, PUBLICATION, COLLECTOR, README])
def test_a_forged_file_is_refused_even_if_the_digests_agree(
    publication: Path, anna: Path, name: str
) -> None:
    forge(publication, name, (publication / name).read_bytes() + b"\n")
    api.verify(publication)
    with pytest.raises(
        SignatureError, match=f"{name} is not what this version of publish-index writes"
    ):
        assurance.approvals(publication, allow(anna))
    with pytest.raises(
        SignatureError, match=f"{name} is not what this version of publish-index writes"
    ):
        compose(publication, [{}], trust=allow(anna))
    assert require_approved(publication, None) == []


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "environment"},
        {"strategy": "cache"},
        {"path": "/evil/place", "base": "/evil/place"},
        {"base": "/evil/base"},
        {"path": ["a"]},
        {"base": None},
        {"targets": []},
        {"targets": None},
        {"scripts": {}},
        {"approved": "mallory"},
    ],
)
def test_a_description_that_says_something_else_is_refused(
    publication: Path, anna: Path, change: dict[str, object]
) -> None:
    described = json.loads((publication / PUBLICATION).read_bytes()) | change
    forge(publication, PUBLICATION, json.dumps(described, indent=1).encode() + b"\n")
    with pytest.raises(SignatureError, match=r"(publication.json|exec_script.py) is not what"):
        assurance.approvals(publication, allow(anna))


def test_a_description_that_is_not_json_is_refused(publication: Path, anna: Path) -> None:
    forge(publication, PUBLICATION, b"[" * 100_000)
    with pytest.raises(SignatureError, match=r"publication.json is not what"):
        assurance.approvals(publication, allow(anna))


def test_a_place_and_a_strategy_that_the_script_agrees_with_are_refused_too(
    publication: Path, anna: Path
) -> None:
    manifest = read_manifest(publication)
    place = str(publication)
    for described in (
        describe(manifest, place, "environment"),
        describe(manifest, "/evil/place"),
        describe(manifest, place, base="/evil/place"),
    ):
        forge(publication, PUBLICATION, to_json(described))
        forge(publication, EXEC_SCRIPT, render(described))
        with pytest.raises(SignatureError, match=r"publication.json is not what"):
            compose(publication, [{}], trust=allow(anna))
    described = describe(manifest, f"/elsewhere/publications/{publication.name}")
    forge(publication, PUBLICATION, to_json(described))
    forge(publication, EXEC_SCRIPT, render(described))
    forge(publication, RUN, render_run(described))
    assert compose(publication, [{}], trust=allow(anna)).approved


def test_archives_that_no_signature_covers_are_refused(publication: Path, anna: Path) -> None:
    described = json.loads((publication / PUBLICATION).read_bytes())
    described["targets"][0]["archives"] = {"solve.py": ["archives/a.tar.gz", "0" * 64]}
    forge(publication, PUBLICATION, json.dumps(described, indent=1).encode() + b"\n")
    with pytest.raises(SignatureError, match="no signature covers its index") as caught:
        assurance.approvals(publication, allow(anna))
    assert caught.value.problem == "uncovered"


def test_names_of_signers_cannot_leave_the_text_in_the_execution_script(
    publication: Path, anna: Path
) -> None:
    submission = compose(publication, [{}], trust=allow(anna, "it's\\"))
    names: dict[str, object] = {}
    block = (
        submission.exec_script.decode()
        .partition("# <publication>\n")[2]
        .partition("# </publication>")[0]
    )
    exec(block, names)  # noqa: S102 - what a node runs
    described = names["PUBLICATION"]
    assert isinstance(described, dict)
    assert str(described["approved"]).startswith("it's\\ (SHA256:")


def test_a_manifest_that_changes_after_the_check_is_refused(publication: Path, anna: Path) -> None:
    (approval,) = require_approved(publication, Policy(trust=allow(anna)))
    forge(publication, MANIFEST, (publication / MANIFEST).read_bytes() + b"\n")
    with pytest.raises(SignatureError, match=r"manifest.json is not what"):
        genuine_script(publication, approval)


def test_a_bundle_has_no_execution_script(
    publication: Path, bundles: dict[str, Path], anna: Path
) -> None:
    (approval,) = require_approved(publication, Policy(trust=allow(anna)))
    with pytest.raises(WheelhouseError):
        genuine_script(bundles["second"], approval)
