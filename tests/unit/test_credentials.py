from __future__ import annotations

import os
from pathlib import Path

import pytest

from wheelhouse.fetch.credentials import Credentials, find_credentials


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
    ):
        monkeypatch.delenv(name, raising=False)


def test_credentials_stand_in_the_urls_of_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", "corp=https://a:b%40c@x.test:8443/simple https://y.test/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://token@z.test/simple")
    monkeypatch.setenv("UV_FIND_LINKS", "https://d:e@w.test/flat,../local")
    assert find_credentials([]).indexes == {
        "https://x.test:8443/simple": ("a", "b@c"),
        "https://z.test/simple": ("token", ""),
        "https://w.test/flat": ("d", "e"),
    }


def test_a_named_index_has_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_MY_CORP_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MY_CORP_PASSWORD", "pw")
    table = {
        "index": [
            {"name": "my-corp", "url": "https://x.test/simple"},
            {"url": "https://y.test/simple"},
        ]
    }
    assert find_credentials([table]).indexes == {"https://x.test/simple": ("me", "pw")}


def test_old_settings_count_too() -> None:
    table = {
        "index-url": "https://a:b@x.test/simple",
        "extra-index-url": ["https://c:d@y.test/simple", "../local"],
    }
    table["find-links"] = ["https://e:f@z.test/flat"]
    found = find_credentials([table]).indexes
    assert list(found.values()) == [("a", "b"), ("c", "d"), ("e", "f")]


def test_sources_and_other_texts_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "h")
    table = {
        "sources": {
            "x": {"git": "https://a:b@x.test/r.git"},
            "y": [{"url": "https://c:d@y.test/y.whl"}],
        }
    }
    texts = [
        "z @ https://e:f@z.test/z.whl",
        "--index-url https://g:${TOKEN}@w.test/simple\nmail a@b.test",
    ]
    texts += ["v @ git+https://i:j@v.test/@team/r.git@a/branch#subdirectory=x"]
    found = find_credentials([table], texts)
    assert found.indexes == {
        "https://y.test/y.whl": ("c", "d"),
        "https://z.test/z.whl": ("e", "f"),
        "https://w.test/simple": ("g", "h"),
    }
    assert found.repositories == {
        "https://x.test/r.git": ("a", "b"),
        "https://v.test/@team/r.git": ("i", "j"),
    }


def test_of_several_indexes_of_a_host_the_nearest_serves_a_file() -> None:
    indexes = {"https://x.test/a/simple": ("a", "1"), "https://x.test/b/simple": ("b", "2")}
    found = Credentials(indexes=indexes, repositories={"https://x.test/r.git": ("git", "")})
    assert found.near("https://x.test/b/files/x.whl") == ("b", "2")
    assert found.near("https://x.test/files/x.whl") == ("a", "1"), "the first, as good as any"
    assert found.near("http://x.test/b/files/x.whl") is None, "not in the clear"
    assert found.near("https://x.test:81/b/files/x.whl") is None
    assert "1" not in repr(found)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for a keyring is a shell script")
def test_the_keyring_is_asked_only_where_uv_is_set_to_ask_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uv asks it: with the URL of the index first, and then with the host."""
    program = tmp_path / "keyring"
    program.write_text(
        '#!/bin/sh\necho "$@" >> "$0.log"\n[ "$2" = "x.test:81" ] && [ "$3" = me ] && echo s3cret\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    table = {"index": [{"url": "https://me@x.test:81/simple"}, {"url": "https://y.test/simple"}]}
    assert find_credentials([table]).indexes == {"https://x.test:81/simple": ("me", "")}
    assert find_credentials([{**table, "keyring-provider": "subprocess"}]).indexes == {
        "https://x.test:81/simple": ("me", "s3cret")
    }
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    assert find_credentials([table]).indexes == {"https://x.test:81/simple": ("me", "s3cret")}
    asked = (tmp_path / "keyring.log").read_text().splitlines()
    assert asked == ["get https://x.test:81/simple me", "get x.test:81 me"] * 2
    monkeypatch.setenv("PATH", "")
    assert find_credentials([table]).indexes == {"https://x.test:81/simple": ("me", "")}
