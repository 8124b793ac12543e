from __future__ import annotations

import os
from pathlib import Path

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


def test_sources_and_other_texts_count_too() -> None:
    table = {"sources": {"x": {"git": "https://a:b@x.test/r.git"}, "y": [{"url": "https://c:d@y.test/y.whl"}]}}
    texts = ["z @ https://e:f@z.test/z.whl", "--index-url https://g:h@w.test/simple\nmail a@b.test"]
    found = index_credentials([table], texts)
    assert found == {"x.test": ("a", "b"), "y.test": ("c", "d"), "z.test": ("e", "f"), "w.test": ("g", "h")}


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for a keyring is a shell script")
def test_the_keyring_is_asked_only_where_uv_is_set_to_ask_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As uv asks it: with the URL of the index first, and then with the host."""
    program = tmp_path / "keyring"
    program.write_text('#!/bin/sh\necho "$@" >> "$0.log"\n[ "$2" = "x.test:81" ] && [ "$3" = me ] && echo s3cret\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    table = {"index": [{"url": "https://me@x.test:81/simple"}, {"url": "https://y.test/simple"}]}
    assert index_credentials([table]) == {"x.test:81": ("me", "")}
    assert index_credentials([{**table, "keyring-provider": "subprocess"}]) == {"x.test:81": ("me", "s3cret")}
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    assert index_credentials([table]) == {"x.test:81": ("me", "s3cret")}
    asked = (tmp_path / "keyring.log").read_text().splitlines()
    assert asked == ["get https://x.test:81/simple me", "get x.test:81 me"] * 2
    monkeypatch.setenv("PATH", "")
    assert index_credentials([table]) == {"x.test:81": ("me", "")}
