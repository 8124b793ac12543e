from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bundler.errors import ManifestError
from bundler.layout import sums
from bundler.manifest import Manifest
from bundler.manifest_reader import parse, read_manifest
from tests.stand_ins.manifests import SCRIPT_NAMES, manifest

_A, _B = "a" * 64, "b" * 64
_WHERE = Path("x.bundle/manifest.json")


def tables() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest().to_json())
    return found


@given(SCRIPT_NAMES)
def test_a_manifest_is_read_as_it_was_written_whatever_the_script_is_called(name: str) -> None:
    written = manifest(script=name)
    assert parse(written.to_json(), _WHERE) == written
    assert written.to_json().isascii()


def test_equal_manifests_are_equal_bytes_whatever_the_order_of_their_files() -> None:
    one = manifest()
    two = Manifest(name=one.name, scripts=one.scripts, targets=one.targets, files=one.files[::-1])
    assert one.to_json() == two.to_json()


def changed(*keys: Any, to: Any) -> bytes:
    found = tables()
    place: Any = found
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a manifest"),
        (b"[]", "is not a manifest"),
        (b"[" * 100_000, "is not a manifest"),
        (b"{}", "is not a manifest"),
        (b'{"format": 1}', "lacks 'name'"),
        (changed("format", to="1"), "unknown format '1'"),
        (changed("format", to=0), "unknown format 0"),
        (changed("name", to="../x"), "malformed value '../x'"),
        (changed("scripts", to=[]), "no script"),
        (changed("scripts", to={}), "instead of a value of type list"),
        (changed("scripts", 0, "name", to="a/b.py"), "not a plain file name"),
        (changed("scripts", 0, "sha256", to=_B), "two digests"),
        (changed("targets", to=[]), "no target"),
        (changed("targets", 0, "name", to=".."), "malformed value"),
        (changed("targets", 0, "python", to="3.12; rm"), "malformed value"),
        (changed("targets", 0, "libc", to=["glibc"]), "not enough values"),
        (changed("targets", 0, "wheels", to={}), "does not list the wheels"),
        (
            changed("targets", 0, "wheels", "solve.py", to=["beta-1-py3-none-any.whl"]),
            "does not list 'wheels/beta",
        ),
        (changed("files", 0, "size", to=-1), "the size -1"),
        (changed("files", 0, "size", to=True), "instead of a value of type int"),
        (changed("files", 0, "size", to=1.5), "instead of a value of type int"),
        (changed("files", 0, "sha256", to="A" * 64), "malformed value"),
        (changed("files", 0, to=None), "not subscriptable"),
        (changed("files", 0, "path", to="manifest.json"), "does not belong in a bundle"),
        (
            changed("files", 3, "path", to="targets/3.12-x86_64-manylinux_2_28/solve/SOLVE.py"),
            "same file twice",
        ),
        (changed("files", 3, "path", to="wheels/../../x"), "does not belong in a bundle"),
        (changed("files", 3, "path", to="exec_script.py"), "does not belong in a bundle"),
        (changed("files", 3, "path", to="wheels/x.txt"), "not the file name of a wheel"),
        (
            changed("files", 3, "path", to="wheels/sub/alpha-1.0-py3-none-any.whl"),
            "not the file name of a wheel",
        ),
        (changed("files", 3, "size", to=10**400), "the size 1000"),
        (changed("targets", 0, "wheels", "solve.py", to=["alpha.whl"]), "Invalid wheel filename"),
        (changed("targets", to=[tables()["targets"][0]] * 2), "lists a target twice"),
        (changed("name", to="x" * 101), "malformed value"),
        (changed("targets", 0, "platform", to="plan9"), "unknown platform"),
    ],
)
def test_a_manifest_that_must_not_be_trusted_is_refused_with_the_fact(
    data: bytes, words: str
) -> None:
    with pytest.raises(ManifestError, match=re.escape(words)) as caught:
        parse(data, _WHERE)
    assert str(caught.value).startswith(f"{_WHERE}: ")


def test_a_newer_format_is_told_apart_from_nonsense() -> None:
    with pytest.raises(
        ManifestError,
        match=r"has format 3, but this version supports up to 2\nhint: use a newer version",
    ):
        parse(changed("format", to=3), _WHERE)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    ),
    st.data(),
)
def test_no_json_in_any_place_of_a_manifest_makes_the_parser_fail_in_another_way(
    value: Any, data: st.DataObject
) -> None:
    found = tables()
    place: Any = found
    while isinstance(place, dict | list) and place:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        if data.draw(st.booleans()):
            place[key] = value
            break
        place = place[key]
    with contextlib.suppress(ManifestError, ManifestError):
        parse(json.dumps(found).encode(), _WHERE)


def test_a_manifest_too_large_for_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bundler.manifest_reader.MANIFEST_LIMIT", 10)
    (tmp_path / "manifest.json").write_bytes(manifest().to_json())
    with pytest.raises(ManifestError, match="larger than 10 bytes"):
        read_manifest(tmp_path)


def test_sums_are_what_sha256sum_reads() -> None:
    assert sums({"b": _B, "a c": _A}) == f"{_A}  a c\n{_B}  b\n".encode()
