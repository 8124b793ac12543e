"""What is read from wheels, and what malformed ones cannot do."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from bundler.assessment.contents import Part, read_contents
from tests.stand_ins.wheels import make_wheel
from wheelhouse.errors import WheelError


def written(folder: Path, wheel: tuple[str, bytes]) -> Path:
    (folder / wheel[0]).write_bytes(wheel[1])
    return folder / wheel[0]


def with_sbom(folder: Path, *documents: bytes) -> tuple[Part, ...]:
    files = {
        f"alpha-1.0.dist-info/sboms/{number}.cdx.json": data
        for number, data in enumerate(documents)
    }
    return read_contents(written(folder, make_wheel("alpha", files=files))).parts


def test_requirements_licence_and_machine_code_are_read(tmp_path: Path) -> None:
    files = {
        "alpha/core.cpython-312-x86_64-linux-gnu.so": b"",
        "alpha.libs/libz.so.1.2": b"",
        "alpha/so.py": b"",
    }
    wheel = make_wheel(
        "alpha",
        requires=["beta>1; extra == 'x'", "not valid!"],
        headers=["License-Expression: MIT"],
        files=files,
    )
    contents = read_contents(written(tmp_path, wheel))
    assert (contents.project, contents.version, str(contents.licence)) == ("alpha", "1.0", "MIT")
    assert [requirement.name for requirement in contents.requires] == ["beta"]
    assert contents.native == (
        "alpha.libs/libz.so.1.2",
        "alpha/core.cpython-312-x86_64-linux-gnu.so",
    )


def test_the_components_of_both_kinds_of_documents_are_read(tmp_path: Path) -> None:
    cyclonedx = {"components": [{"name": "zlib", "version": "1.3", "purl": "pkg:generic/zlib@1.3"}]}
    reference = {"referenceType": "purl", "referenceLocator": "pkg:generic/xz@5"}
    spdx = {"packages": [{"name": "xz", "versionInfo": "5", "externalRefs": [reference]}]}
    assert with_sbom(
        tmp_path, *(json.dumps(document).encode() for document in (cyclonedx, spdx))
    ) == (
        Part(name="zlib", version="1.3", purl="pkg:generic/zlib@1.3"),
        Part(name="xz", version="5", purl="pkg:generic/xz@5"),
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[",
        b"[]",
        b"[" * 100_000,
        b'{"components": 1}',
        b'{"components": [1, null, {"name": 1}, {"name": ""}]}',
        b'{"components": [{"name": "a", "externalRefs": 5}]}',
        b'{"packages": [{"externalRefs": [null]}]}',
        b"\xff\xfe",
    ],
)
def test_a_malformed_document_has_no_components(tmp_path: Path, document: bytes) -> None:
    assert with_sbom(tmp_path, document) == ()


def test_there_is_a_limit_for_components(tmp_path: Path) -> None:
    document = json.dumps(
        {"components": [{"name": f"a{number}"} for number in range(20_000)]}
    ).encode()
    assert len(with_sbom(tmp_path, document)) == 10_000


def test_what_is_not_a_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelError):
        read_contents(written(tmp_path, ("alpha-1.0-py3-none-any.whl", b"junk")))


def test_a_member_that_cannot_be_inflated_is_refused_or_ignored(tmp_path: Path) -> None:
    name, data = make_wheel("alpha")
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("alpha-1.0.dist-info/sboms/a.json", b'{"components": []}' * 100)
        offset = archive.getinfo("alpha-1.0.dist-info/sboms/a.json").header_offset
    damaged = bytearray(out.getvalue())
    damaged[offset + 70 : offset + 80] = b"\xff" * 10
    with pytest.raises(WheelError, match="cannot be read"):
        read_contents(written(tmp_path, (name, bytes(damaged))))
