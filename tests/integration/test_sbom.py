"""Bills of materials: valid, the same for the same inputs, and about exactly the files in the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bundler import api, assurance
from bundler.errors import DamagedError
from bundler.manifest_reader import read_manifest
from tests.conftest import Workplace
from tests.stand_ins.wheels import make_wheel

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
ZLIB = "pkg:generic/zlib@1.3"
PARTS = [{"name": "zlib", "version": "1.3", "purl": ZLIB}, {"name": "b", "purl": "!"}]
PART = json.dumps({"components": PARTS}).encode()


@pytest.fixture
def bundle(workplace: Workplace) -> Path:
    """A bundle with wheels of all kinds, and with bills of materials."""
    files = {"alpha.so": b"", "alpha-1.0.dist-info/sboms/a.cdx.json": PART}
    licence = ["License-Expression: MIT OR Apache-2.0"]
    workplace.index.add(
        make_wheel("alpha", requires=["beta", "gamma; extra == 'g'"], headers=licence, files=files)
    )
    workplace.index.add(make_wheel("beta", headers=["License: Beer\u00e9 <&> licence"]))
    workplace.index.add(make_wheel("gamma", files={"gamma-1.0.dist-info/sboms/b.cdx.json": PART}))
    workplace.script("eval.py", "alpha[g]")
    return workplace.bundle("eval.py", "--sbom")


def documents(folder: Path) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted((folder / "sbom").iterdir())]
    for text in texts:
        assert VALIDATOR.validate_str(text) is None
    return [json.loads(text) for text in texts]


def test_it_lists_the_files_of_the_manifest_with_their_digests(bundle: Path) -> None:
    (document,) = documents(bundle)
    listed = {
        file.path: file.sha256
        for file in read_manifest(bundle).files
        if file.path.startswith("wheels/")
    }
    stated = {
        f"wheels/{item['bom-ref']}": item["hashes"][0]["content"] for item in document["components"]
    }
    assert stated == listed
    script = document["metadata"]["component"]
    assert (
        script["hashes"][0]["content"]
        == hashlib.sha256((bundle.parent / "eval.py").read_bytes()).hexdigest()
    )


def test_licences_origins_dependencies_and_parts_are_in_it(bundle: Path) -> None:
    (document,) = documents(bundle)
    alpha, beta, gamma = document["components"]
    assert alpha["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert beta["licenses"] == [{"license": {"name": "Beer\u00e9 <&> licence"}}]
    assert {"name": "hps-bundler:licence", "value": "unclassified"} in beta["properties"]
    assert {"name": "hps-bundler:licence", "value": "not declared"} in gamma["properties"]
    assert alpha["purl"] == "pkg:pypi/alpha@1.0?file_name=alpha-1.0-py3-none-any.whl"
    assert alpha["externalReferences"][0]["url"].endswith("/alpha-1.0-py3-none-any.whl")
    assert [part.get("purl") for part in alpha["components"]] == [None, ZLIB]
    edges = {entry["ref"]: entry.get("dependsOn", []) for entry in document["dependencies"]}
    assert edges["eval.py"] == [alpha["bom-ref"]]
    assert edges[alpha["bom-ref"]] == [beta["bom-ref"], gamma["bom-ref"]]


def test_the_same_inputs_give_the_same_bytes_later_too(bundle: Path) -> None:
    (before,) = (path.read_bytes() for path in (bundle / "sbom").iterdir())
    assert list(assurance.sbom(bundle).values()) == [before]
    assert b"timestamp" not in before


def test_the_manifest_covers_it(bundle: Path) -> None:
    (path,) = (bundle / "sbom").iterdir()
    path.write_bytes(path.read_bytes().replace(b"MIT OR", b"MIT AND"))
    with pytest.raises(DamagedError, match="changed  sbom/eval.py"):
        api.verify(bundle)


def test_it_crosses_the_gap_and_is_published(bundle: Path, tmp_path: Path) -> None:
    api.pack([bundle], tmp_path / "eval.tar")
    (there,) = api.unpack(tmp_path / "eval.tar", tmp_path / "there")
    publication = api.publish(there, tmp_path / "store")
    assert documents(publication) == documents(bundle)
    assert assurance.sbom(publication) == assurance.sbom(bundle)


def test_a_bundle_without_it_is_made_again_with_it(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("eval.py", "alpha")
    assert not (workplace.bundle("eval.py") / "sbom").exists()
    assert documents(workplace.bundle("eval.py", "--sbom"))
    assert "is up to date" in workplace.run("bundle", "eval.py", "--sbom").stderr
    assert "is up to date" in workplace.run("bundle", "eval.py").stderr


def test_one_document_is_printed_and_several_are_written(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    for name in ("one.py", "two.py"):
        workplace.script(name, "alpha")
    workplace.bundle("one.py", "two.py", "-o", "both.bundle")
    done = workplace.run("bundler", "sbom", "both.bundle", "--script", "one.py")
    assert json.loads(done.stdout)["metadata"]["component"]["name"] == "one.py"
    done = workplace.run("bundler", "sbom", "both.bundle")
    assert done.returncode == 2
    assert "has 2 documents; use --output, or --script and --target" in done.stderr
    done = workplace.run("bundler", "sbom", "both.bundle", "--script", "three.py")
    assert (done.returncode, "has no such script" in done.stderr) == (2, True)
    done = workplace.run("bundler", "sbom", "both.bundle", "-o", "documents")
    assert [Path(line).name.partition(".3.")[0] for line in done.stdout.splitlines()] == [
        "one.py",
        "two.py",
    ]
    shutil.rmtree(workplace.folder / "both.bundle" / "wheels")
    assert workplace.run("bundler", "sbom", "both.bundle", "-o", "documents").returncode == 1


def test_tools_for_nodes_are_components_too(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.index.add(make_wheel("uv", "0.13.9"))
    workplace.script("eval.py", "alpha")
    bundle = workplace.bundle("eval.py", "--include-uv", "--sbom")
    assert [item["name"] for item in documents(bundle)[0]["components"]] == ["alpha", "uv"]
