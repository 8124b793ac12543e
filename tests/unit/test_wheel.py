from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tests.stand_ins.wheels import make_wheel
from wheelhouse.errors import WheelError
from wheelhouse.wheel import Wheel, parse_filename, parse_metadata, url_filename

_DIGEST = "0" * 64


@pytest.mark.parametrize(
    "name",
    [
        "../evil-1.0-py3-none-any.whl",
        "evil-1.0-py3-none-../any.whl",
        "/etc/evil-1.0-py3-none-any.whl",
        "evil-1.0-py3-none-any.whl\n",
        "evil-1.0-py3-none-any.tar.gz",
        "evil.whl",
        "-1.0-py3-none-any.whl",
        ".evil-1.0-py3-none-any.whl",
        "ev\u0131l-1.0-py3-none-any.whl",
        "evil-1.0-py3-none-any\\..\\x.whl",
        "",
    ],
)
def test_a_name_that_is_no_safe_wheel_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="whl|wheel"):
        Wheel(filename=name, url="https://x.test/", sha256=_DIGEST)


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "0" * 65, "A" * 64])
def test_a_digest_that_is_none_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        Wheel(filename="a-1-py3-none-any.whl", url="", sha256=digest)


def test_project_and_version_are_normalized() -> None:
    wheel = Wheel(
        filename="Foo_Bar.baz-1!2.0+cpu-1-cp312-cp312-win_amd64.whl", url="", sha256=_DIGEST
    )
    assert (wheel.project, str(wheel.version)) == ("foo-bar-baz", "1!2.0+cpu")


@given(st.text(alphabet=st.sampled_from("ab1-._+!/\\: \u00e9w"), max_size=40))
def test_whatever_passes_is_one_plain_path_part(text: str) -> None:
    try:
        parse_filename(f"{text}.whl")
    except ValueError:
        return
    assert Path(f"{text}.whl").name == f"{text}.whl"
    assert not {"/", "\\", ":", " "} & set(text)


def test_the_file_name_of_a_url_is_its_last_part_decoded() -> None:
    assert (
        url_filename("https://x.test/a/torch-2%2Bcpu-x.whl?sig=1#sha256=2") == "torch-2+cpu-x.whl"
    )


def put(folder: Path, named: tuple[str, bytes]) -> Path:
    path = folder / named[0]
    path.write_bytes(named[1])
    return path


def test_metadata_comes_from_inside_the_wheel(tmp_path: Path) -> None:
    assert (
        b"Requires-Python: >=3.8"
        in parse_metadata(put(tmp_path, make_wheel("alpha", requires_python=">=3.8")))[0]
    )


def test_a_wheel_that_lies_about_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="contains the METADATA of beta 1.0"):
        parse_metadata(put(tmp_path, ("alpha-1.0-py3-none-any.whl", make_wheel("beta")[1])))


def test_what_is_no_wheel_inside_is_refused(tmp_path: Path) -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for data, words in ((b"junk", "cannot be read"), (empty.getvalue(), "0 METADATA files")):
        with pytest.raises(WheelError, match=words):
            parse_metadata(put(tmp_path, ("alpha-1.0-py3-none-any.whl", data)))


def test_metadata_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("alpha-1.0.dist-info/METADATA", b"\0" * (17 << 20))
    with pytest.raises(WheelError, match="more than"):
        parse_metadata(put(tmp_path, ("alpha-1.0-py3-none-any.whl", bomb.getvalue())))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"Metadata-Version: 2.1\n", "METADATA|Invalid version"),
        (b"Metadata-Version: 2.1\nName: alpha\nVersion: one\n", "Invalid version"),
        (b"\xff\xfe", "METADATA|Invalid version"),
    ],
)
def test_metadata_without_a_name_or_a_version_is_refused(
    tmp_path: Path, text: bytes, words: str
) -> None:
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("alpha-1.0.dist-info/METADATA", text)
    with pytest.raises(WheelError, match=words):
        parse_metadata(put(tmp_path, ("alpha-1.0-py3-none-any.whl", wheel.getvalue())))


def test_a_member_that_does_not_inflate_is_refused(tmp_path: Path) -> None:
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "alpha-1.0.dist-info/METADATA",
            b"Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\n" * 9,
        )
    data = bytearray(wheel.getvalue())
    data[60:70] = b"\xff" * 10
    with pytest.raises(WheelError, match="cannot be read"):
        parse_metadata(put(tmp_path, ("alpha-1.0-py3-none-any.whl", bytes(data))))


def test_an_old_form_of_requires_python_is_kept_as_it_stands(tmp_path: Path) -> None:
    _, parsed = parse_metadata(put(tmp_path, make_wheel("alpha", requires_python=">=3.6.*")))
    assert parsed["requires_python"] == ">=3.6.*"
