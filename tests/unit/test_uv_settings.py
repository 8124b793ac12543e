from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wheelhouse.uv_settings import combined, faults_of, user_settings, working_settings


def test_the_users_own_settings_of_uv_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)
    monkeypatch.delenv("UV_NO_CONFIG", raising=False)
    assert user_settings() == {}
    path = tmp_path / "uv" / "uv.toml"
    path.parent.mkdir()
    path.write_text('[[index]]\nurl = "https://a:b@x.test/simple"\n')
    assert user_settings() == {"index": [{"url": "https://a:b@x.test/simple"}]}
    for text in ("no toml", "index = 3"):
        path.write_text(text)
        assert user_settings() == {}, "uv says so itself"
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert user_settings() == {}


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"index": "x"}, "index must be a list of tables with a url"),
        ({"index": [{"name": "a"}]}, "index must be"),
        ({"index": [{"url": 3}]}, "index must be"),
        ({"index": [3]}, "index must be"),
        ({"index": [{"url": "https://x.test", "name": 3}]}, "index must be"),
        ({"index-url": 3}, "index-url must be a string"),
        ({"extra-index-url": "https://x.test"}, "extra-index-url must be a list of strings"),
        ({"find-links": 3}, "find-links must be a list of strings"),
        ({"keyring-provider": ["x"]}, "keyring-provider must be a string"),
        ({"constraint-dependencies": 3}, "constraint-dependencies must be a list"),
        ({"sources": 3}, "sources must be a table of tables"),
        ({"sources": {"a": 3}}, "sources must be"),
        ({"sources": {"a": [3]}}, "sources must be"),
        ({"sources": {"a": {"path": 3}}}, "sources must be"),
    ],
)
def test_settings_of_a_wrong_shape_are_named(settings: dict[str, Any], fault: str) -> None:
    (found,) = faults_of(settings)
    assert found.startswith(f"tool.uv.{fault}")


def test_settings_of_the_right_shape_are_uvs_business() -> None:
    assert not faults_of({})
    assert not faults_of({"index": [{"url": "nonsense"}], "sources": {"a": [{"git": "x"}, {"index": "y"}]}, "odd": 3})


def test_the_working_folder_and_those_above_it_have_settings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_CONFIG_FILE", "UV_NO_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nfind-links = ["wheels"]\n')
    (here / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert working_settings() == {"find-links": [str(tmp_path / "wheels")]}
    (tmp_path / "a" / "uv.toml").write_text('index = [{ url = "flat" }]\n')
    assert working_settings() == {"index": [{"url": str(tmp_path / "a" / "flat")}]}
    (here / "uv.toml").write_text("no toml")
    assert working_settings() == {}, "uv says so itself"
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "other.toml"))
    assert working_settings() == user_settings() == {}


def test_settings_are_combined_as_uv_combines_them() -> None:
    first, second = {"a": [1], "b": "x"}, {"a": [2], "b": "y", "c": 3}
    assert combined(first, second) == {"a": [1, 2], "b": "x", "c": 3}
