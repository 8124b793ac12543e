from __future__ import annotations

import pytest

from wheelhouse.credentials import index_credentials


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)


def test_credentials_stand_in_the_urls_of_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", "corp=https://a:b%40c@x.test:8443/simple https://y.test/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://token@z.test/simple")
    assert index_credentials([]) == {"x.test:8443": ("a", "b@c"), "z.test": ("token", "")}


def test_a_named_index_has_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_MY_CORP_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MY_CORP_PASSWORD", "pw")
    table = {"index": [{"name": "my-corp", "url": "https://x.test/simple"}, {"url": "https://y.test/simple"}]}
    assert index_credentials([table]) == {"x.test": ("me", "pw")}


def test_old_settings_count_too() -> None:
    table = {"index-url": "https://a:b@x.test/simple", "extra-index-url": ["https://c:d@y.test/simple", "../local"]}
    assert index_credentials([table]) == {"x.test": ("a", "b"), "y.test": ("c", "d")}
