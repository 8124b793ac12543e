from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from bundler.path_kinds import kind_of, mismatch


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with something of each kind."""
    for name, inside in (
        ("a.bundle", "manifest.json"),
        ("store", "store.json"),
        ("store/publications/a-1", "manifest.json"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / inside).write_text("{}")
    (tmp_path / "store/publications/a-1/exec_script.py").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "SHA256SUMS").touch()
    (tmp_path / "a.py").touch()
    (tmp_path / "note.txt").touch()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "a.py", "a.py")
    return tmp_path


KINDS = {
    "a.bundle": "bundle",
    "store": "store",
    "store/publications/a-1": "publication",
    "folder": "folder",
    "a.py": "script",
    "note.txt": "file",
    "a.tar": "archive",
    "gone": "nothing",
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_each_kind_of_path_is_recognised(place: Path, name: str, kind: str) -> None:
    assert kind_of(place / name) == kind


@pytest.mark.parametrize(
    ("name", "expected", "fact", "hint"),
    [
        ("a.py", "bundle", "is a script, not a bundle", "run `bundle .*a.py` first"),
        (
            "a.bundle",
            "publication",
            "is a bundle, not a publication",
            "publish-index STORE .*a.bundle",
        ),
        ("a.tar", "publication", "is an archive, not a publication", "publish it first"),
        ("store", "bundle or publication", "is a store, not", "`bundler store list .*store`"),
        (
            "store/publications/a-1",
            "store",
            "is a publication, not a store",
            "its store is .*/store$",
        ),
        ("store/publications/a-1/exec_script.py", "bundle", "is a script, not a bundle", "run"),
        ("a.bundle/manifest.json", "bundle", "is inside of a bundle", "name .*a.bundle$"),
        ("store/publications", "publication", "is inside of a store", "name .*store$"),
        ("a.bundel", "bundle", "does not exist", "did you mean .*a.bundle"),
        ("zzz", "store", "does not exist", "name the folder that was given to publish-index"),
        ("folder", "archive", "is not an archive", "give the folder"),
        ("a.bundle", "script", "is a bundle, not a script", "publish-index STORE .*a.bundle"),
        ("damaged", "bundle", "has no manifest.json, so it is damaged", "copy it again"),
        ("store", "script", "is a store, not a script", "give the path of a Python script"),
    ],
)
def test_a_path_of_another_kind_is_named_with_what_to_do(
    place: Path, name: str, expected: str, fact: str, hint: str
) -> None:
    found, advice = mismatch(place / name, expected)
    assert fact in found
    assert re.search(hint, advice), advice
