from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wheelhouse.credentials import index_credentials
from wheelhouse.uv_settings import faults_of, user_settings


def test_the_users_own_settings_of_uv_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)
    monkeypatch.delenv("UV_NO_CONFIG", raising=False)
    assert user_settings() == {}
    path = tmp_path / "uv" / "uv.toml"
    path.parent.mkdir()
    path.write_text('[[index]]\nurl = "https://a:b@x.test/simple"\n')
    assert index_credentials([user_settings()]) == {"x.test": ("a", "b")}
    for text in ("no toml", "index = 3"):
        path.write_text(text)
        assert user_settings() == {}, "uv says so itself"
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert user_settings() == {}


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"index": "x"}, "index is not a list of tables with a url"),
        ({"index": [{"name": "a"}]}, "index is not"),
        ({"index": [{"url": 3}]}, "index is not"),
        ({"index": [3]}, "index is not"),
        ({"index": [{"url": "https://x.test", "name": 3}]}, "index is not"),
        ({"index-url": 3}, "index-url is not a text"),
        ({"extra-index-url": "https://x.test"}, "extra-index-url is not a list of texts"),
        ({"find-links": 3}, "find-links is not a list of texts"),
        ({"keyring-provider": ["x"]}, "keyring-provider is not a text"),
        ({"constraint-dependencies": 3}, "constraint-dependencies is not a list"),
        ({"sources": 3}, "sources is not a table of tables"),
        ({"sources": {"a": 3}}, "sources is not"),
        ({"sources": {"a": [3]}}, "sources is not"),
        ({"sources": {"a": {"path": 3}}}, "sources is not"),
    ],
)
def test_settings_of_a_wrong_shape_are_named(settings: dict[str, Any], fault: str) -> None:
    (found,) = faults_of(settings)
    assert found.startswith(f"tool.uv.{fault}")


def test_settings_of_the_right_shape_are_uvs_business() -> None:
    assert not faults_of({})
    assert not faults_of({"index": [{"url": "nonsense"}], "sources": {"a": [{"git": "x"}, {"index": "y"}]}, "odd": 3})
