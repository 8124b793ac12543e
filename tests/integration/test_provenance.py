"""Where a bundle comes from, and whether building it again gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bundler import api, assurance
from bundler.errors import BundlerError, DamagedError
from bundler.layout import MANIFEST, PROVENANCE
from bundler.trust.provenance import read_provenance
from tests.conftest import Workplace
from tests.stand_ins.signers import allow, make_key
from tests.stand_ins.wheels import make_wheel


@pytest.fixture
def making(workplace: Workplace) -> Workplace:
    for name in ("alpha", "beta"):
        workplace.index.add(make_wheel(name))
    workplace.script("eval.py", "alpha", "beta")
    return workplace


def stated(bundle: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((bundle / PROVENANCE).read_bytes())
    return document


def test_the_statement_names_inputs_targets_indexes_and_versions(making: Workplace) -> None:
    bundle = making.bundle("eval.py", "--provenance", "--with", "beta")
    statement = stated(bundle)
    manifest = hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()
    assert statement["subject"] == [{"name": MANIFEST, "digest": {"sha256": manifest}}]
    definition, details = (
        statement["predicate"]["buildDefinition"],
        statement["predicate"]["runDetails"],
    )
    script = hashlib.sha256((making.folder / "eval.py").read_bytes()).hexdigest()
    assert definition["resolvedDependencies"] == [{"name": "eval.py", "digest": {"sha256": script}}]
    assert definition["externalParameters"]["scripts"] == [
        {"name": "eval.py", "options": ["--with beta"]}
    ]
    assert definition["externalParameters"]["indexes"] == [making.environment["UV_DEFAULT_INDEX"]]
    assert set(details["builder"]["version"]) == {"hps-bundler", "uv"}
    assert api.verify(bundle)


def test_only_the_times_differ_between_two_builds(making: Workplace) -> None:
    texts = []
    for name in ("one", "two"):
        bundle = making.bundle("eval.py", "--provenance", "-o", f"{name}.bundle")
        statement = stated(bundle)
        assert re.fullmatch(
            r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}Z",
            statement["predicate"]["runDetails"]["metadata"]["startedOn"],
        )
        statement["predicate"]["runDetails"]["metadata"] = {}
        texts.append((statement, (bundle / MANIFEST).read_bytes()))
    assert texts[0] == texts[1]


def test_no_secret_and_no_path_of_this_machine_is_in_it(making: Workplace) -> None:
    secret = (
        making.environment["UV_DEFAULT_INDEX"].replace("http://", "http://anna:secret@")
        + "?token=hidden"
    )
    elsewhere = making.folder / "home of anna"
    elsewhere.mkdir()
    bundle = making.bundle("eval.py", "--provenance", UV_INDEX=f"{secret} {elsewhere.as_uri()}")
    text = (bundle / PROVENANCE).read_text()
    for word in ("secret", "hidden", "anna", str(making.folder)):
        assert word not in text


def test_it_is_signed_together_with_the_manifest(making: Workplace) -> None:
    key = make_key(making.folder / "anna")
    assert making.run("bundle", "eval.py", "--sign", "anna").returncode == 0
    bundle, trust = making.folder / "eval.bundle", allow(key)
    assert assurance.approvals(bundle, trust)
    text = (bundle / PROVENANCE).read_text()
    (bundle / PROVENANCE).write_text(text.replace('"uv": "', '"uv": "1'))
    with pytest.raises(Exception, match="for another provenance.json"):
        assurance.approvals(bundle, trust)
    (bundle / PROVENANCE).unlink()
    with pytest.raises(Exception, match="for another provenance.json"):
        assurance.approvals(bundle, trust)


def test_the_statement_of_another_bundle_is_refused(making: Workplace) -> None:
    bundle = making.bundle("eval.py", "--provenance")
    other = making.bundle("eval.py", "--provenance", "--with", "beta==1", "-o", "other.bundle")
    (bundle / PROVENANCE).write_bytes((other / PROVENANCE).read_bytes())
    with pytest.raises(DamagedError, match="changed  provenance.json"):
        api.verify(bundle)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"subject": [{"name": 1}]}', b'{"subject": 5}'],
)
def test_what_is_not_a_statement_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not a provenance statement"):
        read_provenance(data, b"{}")


def test_it_crosses_the_gap_and_is_published(making: Workplace, tmp_path: Path) -> None:
    bundle = making.bundle("eval.py", "--provenance")
    api.pack([bundle], tmp_path / "eval.tar")
    (there,) = api.unpack(tmp_path / "eval.tar", tmp_path / "there")
    publication = api.publish(there, tmp_path / "store")
    assert stated(publication) == stated(bundle)


def test_papers_are_added_to_a_bundle_without_new_versions(making: Workplace) -> None:
    before = (making.bundle("eval.py") / "targets").rglob("pylock.*")
    locks = [path.read_bytes() for path in before]
    making.index.add(make_wheel("alpha", "2.0"))
    bundle = making.bundle("eval.py", "--provenance", "--sbom")
    assert [path.read_bytes() for path in (bundle / "targets").rglob("pylock.*")] == locks
    assert (bundle / PROVENANCE).exists()


@pytest.mark.parametrize(
    "options", [(), ("--with", "beta", "--sbom"), ("--python", "3.12", "--platform", "windows")]
)
def test_building_again_gives_the_same_bytes(making: Workplace, options: tuple[str, ...]) -> None:
    making.bundle("eval.py", *options)
    making.index.add(make_wheel("alpha", "2.0"))
    done = making.run("bundler", "rebuild", "--compare", "eval.bundle", "-o", "again.bundle")
    assert done.returncode == 0, done.stderr
    assert "eval.bundle and its rebuild are identical\n" in done.stderr
    manifests = [
        (making.folder / name / MANIFEST).read_bytes() for name in ("eval.bundle", "again.bundle")
    ]
    assert manifests[0] == manifests[1]


def test_a_rebuild_is_not_written_over_anything(making: Workplace) -> None:
    bundle = making.bundle("eval.py")
    before = (bundle / MANIFEST).read_bytes()
    for output in (bundle, bundle / MANIFEST, making.folder):
        with pytest.raises(BundlerError, match=" exists"):
            assurance.rebuild(bundle, output)
    assert (bundle / MANIFEST).read_bytes() == before


def test_a_locked_script_is_built_again_from_its_lock(making: Workplace) -> None:
    assert making.run("uv", "lock", "--script", "eval.py").returncode == 0
    making.bundle("eval.py")
    making.index.add(make_wheel("alpha", "2.0"))
    done = making.run("bundler", "rebuild", "--compare", "eval.bundle")
    assert done.returncode == 0, done.stderr


def test_a_wheel_that_the_index_has_with_other_bytes_now_is_found(making: Workplace) -> None:
    making.bundle("eval.py")
    making.index.add(make_wheel("alpha", files={"alpha.py": b"evil = 1\n"}))
    done = making.run("bundler", "rebuild", "--compare", "eval.bundle")
    assert done.returncode == 1
    assert "error: eval.bundle differs from its rebuild in " in done.stderr
    assert "  changed  wheels/alpha-1.0-py3-none-any.whl\n" in done.stderr
    document = json.loads(
        making.run("bundler", "rebuild", "--compare", "eval.bundle", "--json").stdout
    )
    assert "wheels/alpha-1.0-py3-none-any.whl" in document["changed"]


@pytest.mark.parametrize("is_hidden", [False, True])
def test_code_that_a_bundle_names_is_not_run_unless_wanted(
    making: Workplace, is_hidden: bool
) -> None:
    project = making.folder / "gamma"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "back"\nbackend-path = ["."]\n'
        '[project]\nname = "gamma"\nversion = "1"\n'
    )
    name, data = make_wheel("gamma", "1")
    (project / name).write_bytes(data)
    (project / "back.py").write_text(
        "import pathlib, shutil\n"
        f"with open({str(making.folder / 'runs')!r}, 'a') as out: out.write('ran')\n"
        "def build_wheel(folder, *_):\n"
        f"    shutil.copy({name!r}, folder)\n    return {name!r}\n"
    )
    making.script("made.py", "gamma", uv="sources = { gamma = { path = 'gamma' } }")
    making.bundle("made.py")
    before = (making.folder / "runs").read_text()
    if is_hidden:
        harmed = json.loads((making.folder / "made.bundle" / MANIFEST).read_bytes())
        for file in harmed["files"]:
            if file["path"].endswith(".whl"):
                file["origin"] = f"https://x.test/{name}"
        data = (json.dumps(harmed, indent=1) + "\n").encode()
        (making.folder / "made.bundle" / MANIFEST).write_bytes(data)
    done = making.run("bundler", "rebuild", "--compare", "made.bundle", UV_NO_BUILD="0")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (
        is_hidden
        or "made.bundle contains wheels that were built from source (gamma)\nhint: " in done.stderr
    )
    assert (making.folder / "runs").read_text() == before


def test_a_project_cannot_be_built_again(making: Workplace) -> None:
    (making.folder / "requirements.txt").write_text("alpha\n")
    making.bundle("requirements.txt", "-o", "project.bundle")
    done = making.run("bundler", "rebuild", "--compare", "project.bundle")
    assert done.returncode == 1
    assert (
        "requirements.py was made from a project or lock file that is not in the bundle\nhint: run "
        in done.stderr
    )
