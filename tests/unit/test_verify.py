from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bundler.bundles.consistency import index_pages
from bundler.bundles.verify import verify
from bundler.errors import BundlerError, DamagedError, ManifestError
from bundler.layout import COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, SUMS, sums
from bundler.manifest import File
from tests.stand_ins.manifests import manifest
from wheelhouse.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path


_WHEEL = "wheels/alpha-1.0-py3-none-any.whl"


def contents(path: str, wheel: bytes = b"wheel") -> bytes:
    """Return what a file of a bundle holds that agrees with all others."""
    sha256 = hashlib.sha256(wheel).hexdigest()
    name = _WHEEL.partition("/")[2]
    if path == _WHEEL:
        return wheel
    if path.endswith(".lock"):
        entry = f'path = "../../../../wheels/{name}", hash = "sha256:{sha256}"'
        package = '[[package]]\nname = "alpha"\nversion = "1.0"\nsource = { registry = "simple" }'
        return f"{package}\nwheels = [{{ {entry} }}]\n".encode()
    if path.endswith(".toml"):
        wheels = (
            f'wheels = [{{ path = "../../../wheels/{name}", hashes = {{ sha256 = "{sha256}" }} }}]'
        )
        return f'[[packages]]\nname = "alpha"\nversion = "1.0"\n{wheels}\n'.encode()
    if "/simple/" in path:
        place, _, page = path.partition("/simple/")
        return index_pages(place, {name: sha256})[page]
    return b"script" if path.endswith(".py") else path.encode()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A small whole bundle."""
    folder = tmp_path / "x.bundle"
    found = manifest()
    files = []
    for file in found.files:
        data = contents(file.path)
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(data)
        files.append(File(path=file.path, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
    digest = hashlib.sha256(b"script").hexdigest()
    whole = replace(found, files=tuple(files), scripts=(replace(found.scripts[0], sha256=digest),))
    (folder / MANIFEST).write_bytes(whole.to_json())
    write_sums(folder)
    return folder


def write_sums(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != SUMS]
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (folder / SUMS).write_bytes(sums(digests))


def rows(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(DamagedError) as caught:
        verify(folder)
    return caught.value.rows


def test_a_whole_bundle_is_whole(bundle: Path) -> None:
    assert verify(bundle).manifest.name == "solve"


def test_missing_changed_and_foreign_files_are_all_told(bundle: Path) -> None:
    (bundle / _WHEEL).unlink()
    lock = next(bundle.rglob("*.lock"))
    lock.write_bytes(lock.read_bytes()[:-1] + b"?")
    (bundle / "wheels" / "evil.whl").touch()
    assert rows(bundle) == [
        ("missing", _WHEEL),
        ("changed", lock.relative_to(bundle).as_posix()),
        ("foreign", "wheels/evil.whl"),
    ]


def test_one_flipped_bit_in_any_file_is_found(bundle: Path) -> None:
    for path in [path for path in bundle.rglob("*") if path.is_file() and path.name != MANIFEST]:
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert path.relative_to(bundle).as_posix() in [name for _, name in rows(bundle)]
        path.write_bytes(good)
    assert verify(bundle)


def test_a_changed_manifest_is_found_by_the_sums(bundle: Path) -> None:
    path = bundle / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"alpha"', b'"omega"'))
    assert rows(bundle) == [("changed", MANIFEST)]


def test_a_link_in_place_of_a_file_is_a_changed_file(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((bundle / _WHEEL).read_bytes())
    (bundle / _WHEEL).unlink()
    (bundle / _WHEEL).symlink_to(tmp_path / "elsewhere")
    assert rows(bundle) == [("changed", _WHEEL)]


def test_a_folder_that_is_a_link_is_not_followed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "wheels").rename(tmp_path / "wheels")
    (bundle / "wheels").symlink_to(tmp_path / "wheels")
    assert rows(bundle) == [("missing", _WHEEL), ("foreign", "wheels")]


def test_a_pipe_is_not_waited_for(bundle: Path) -> None:
    (bundle / _WHEEL).unlink()
    os.mkfifo(bundle / _WHEEL)
    assert rows(bundle) == [("changed", _WHEEL)]


def test_an_execution_script_counts_only_if_the_sums_vouch_for_it(bundle: Path) -> None:
    (bundle / EXEC_SCRIPT).write_text("print(1)")
    assert rows(bundle) == [("foreign", EXEC_SCRIPT)]
    for name in (PUBLICATION, COLLECTOR):
        (bundle / name).write_text("{}")
    write_sums(bundle)
    assert verify(bundle)
    (bundle / EXEC_SCRIPT).write_text("print(2)")
    assert rows(bundle) == [("changed", EXEC_SCRIPT)]


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "is not a bundle or publication"),
        (tmp_path / "x", "not exist"),
    ):
        with pytest.raises(BundlerError, match=words):
            verify(path)


@pytest.mark.parametrize("damage", [b"", b"random", b"0" * 64 + b"  no-such-file\n"])
def test_sums_that_do_not_name_all_files_and_no_other_are_damaged(
    bundle: Path, damage: bytes
) -> None:
    path = bundle / SUMS
    path.write_bytes(damage if not damage.startswith(b"0") else path.read_bytes() + damage)
    assert ("changed", SUMS) in rows(bundle)


@pytest.mark.parametrize("name", [SUMS, MANIFEST])
def test_links_and_pipes_in_place_of_manifest_or_sums_are_neither_followed_nor_waited_for(
    bundle: Path, name: str
) -> None:
    (bundle / name).rename(bundle.parent / name)
    (bundle / name).symlink_to(bundle.parent / name)
    for _ in range(2):
        with pytest.raises((DamagedError, ManifestError), match=name):
            verify(bundle)
        (bundle / name).unlink()
        os.mkfifo(bundle / name)


def test_folders_nested_beyond_measure_are_told(bundle: Path) -> None:
    descend = os.open(bundle, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=descend)
        below = os.open("d", os.O_RDONLY, dir_fd=descend)
        os.close(descend)
        descend = below
    os.close(descend)
    with pytest.raises(FileError, match="File name too long"):
        verify(bundle)
    subprocess.run(["rm", "-rf", bundle], check=True)  # deeper than Python's own removal can go
