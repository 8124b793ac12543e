from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from wheelhouse.fetch.http import FetchError
from wheelhouse.fetch.listing import ACCEPT, ListedFile, list_files

_SHA256 = "ab" * 32


def listed(page: bytes, index: str = "https://x.test/simple") -> list[ListedFile]:
    return list_files("alpha", index, lambda *_: page)


def test_a_page_in_json_and_one_in_html_say_the_same() -> None:
    file = {
        "filename": "alpha-1.0-py3-none-any.whl",
        "url": "../../files/a.whl",
        "hashes": {"sha256": _SHA256},
        "requires-python": ">=3.9",
        "yanked": "broken",
    }
    page = json.dumps({"meta": {"api-version": "1.1"}, "name": "alpha", "files": [file]}).encode()
    attributes = 'data-requires-python="&gt;=3.9" data-yanked="broken"'
    html = f'<a href="../../files/a.whl#sha256={_SHA256}" {attributes}>alpha-1.0-py3-none-any.whl</a>'.encode()
    (of_json,), (of_html,) = listed(page), listed(html)
    assert of_json.url == of_html.url == "https://x.test/files/a.whl"
    assert (of_json.sha256, of_json.requires_python, of_json.yanked) == (_SHA256, ">=3.9", "broken")
    assert (of_html.sha256, of_html.requires_python, of_html.yanked) == (_SHA256, ">=3.9", "broken")


def test_json_is_asked_for_first_and_a_folder_has_a_page_in_a_file() -> None:
    asked: list[tuple[str, str | None]] = []

    def read(url: str, _: int, accept: str | None) -> bytes:
        asked.append((url, accept))
        return b"{}"

    for index in ("https://x.test/simple/", "file:///mirror"):
        assert list_files("alpha", index, read) == []
    assert asked == [
        ("https://x.test/simple/alpha/", ACCEPT),
        ("file:///mirror/alpha/index.html", None),
    ]
    assert ACCEPT.startswith("application/vnd.pypi.simple.v1+json,")


def test_an_index_that_cannot_be_read_lists_nothing() -> None:
    def fails(*_: object) -> bytes:
        raise FetchError("no answer")

    assert list_files("alpha", "https://x.test", fails) == []


@given(st.binary())
def test_no_page_makes_the_reader_fail(page: bytes) -> None:
    assert isinstance(listed(page), list)


@pytest.mark.parametrize(
    "page", [b'{"files": [{"filename": 1, "url": "x", "hashes": 5}]}', b'<a href="http://[x">y</a>']
)
def test_a_page_of_another_form_lists_nothing(page: bytes) -> None:
    assert listed(page) == []


def test_the_query_of_an_index_stays_behind_the_path() -> None:
    asked: list[str] = []

    def read(url: str, *_: object) -> bytes:
        asked.append(url)
        return b""

    assert list_files("alpha", "https://x.test/simple/?token=t", read) == []
    assert asked == ["https://x.test/simple/alpha/?token=t"]
