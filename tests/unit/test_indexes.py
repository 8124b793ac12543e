from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bundler.bundles.indexes import read_indexes
from bundler.sources.script import Script, read_script
from wheelhouse import toml


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)


def script(folder: Path, settings: dict[str, Any], *dependencies: str) -> Script:
    tables = {"dependencies": list(dependencies), "tool": {"uv": settings}}
    lines = "".join(f"# {line}".rstrip() + "\n" for line in toml.dumps(tables).splitlines())
    path = folder / "solve.py"
    path.write_text(f"# /// script\n{lines}# ///\n")
    return read_script(path)


def test_a_project_is_looked_for_in_every_index_but_those_of_one_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://env.test/simple")
    settings = {
        "index": [
            {"name": "ours", "url": "https://a.test/simple", "explicit": True},
            {"url": "https://b.test/simple"},
            {"url": "https://flat.test/", "format": "flat"},
        ],
        "sources": {"My.Own": {"index": "ours"}},
    }
    elsewhere = read_indexes([script(tmp_path, settings, "my-own", "numpy")]).elsewhere
    assert elsewhere("numpy") == ["https://b.test/simple", "https://env.test/simple"]
    assert elsewhere("my-own") == []


def test_whatever_a_script_comes_from_may_have_a_password(tmp_path: Path) -> None:
    found = script(
        tmp_path,
        {"index-url": "https://a:b@x.test/simple"},
        "alpha @ https://c:d@y.test/alpha-1.0.tar.gz",
    )
    assert read_indexes([found]).credentials.indexes == {
        "https://x.test/simple": ("a", "b"),
        "https://y.test/alpha-1.0.tar.gz": ("c", "d"),
    }
