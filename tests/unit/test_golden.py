from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.manifest_reader import parse
from tests.golden.formats import FOLDER, formats
from tests.stand_ins.manifests import manifest

_NEVER_DATA = {"format-1", "__init__.py", "formats.py", "__pycache__"}


@pytest.mark.parametrize(
    "name", sorted(path.name for path in FOLDER.iterdir() if path.name not in _NEVER_DATA)
)
def test_a_file_is_written_as_ever(name: str) -> None:
    assert formats()[name].decode() == (FOLDER / name).read_text(encoding="utf-8")


def test_every_format_has_a_golden_file() -> None:
    assert set(formats()) == {path.name for path in FOLDER.iterdir()} - _NEVER_DATA


def test_the_golden_manifest_is_read_as_what_was_written() -> None:
    assert parse((FOLDER / "manifest.json").read_bytes(), Path("manifest.json")) == manifest()


@pytest.mark.parametrize("name", [path.name for path in FOLDER.glob("*.json")])
def test_a_golden_file_is_json_in_ascii(name: str) -> None:
    assert json.loads((FOLDER / name).read_bytes().decode("ascii"))
