"""What an index says about files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_wheel
from wheelhouse.errors import WheelhouseError
from wheelhouse.fetch.releases import Release, find_releases
from wheelhouse.wheel import Wheel


@pytest.fixture
def index() -> Iterator[Index]:
    with serving(Index()) as made:
        made.add(make_wheel("alpha"))
        made.facts[next(iter(made.files))] = {"upload-time": "2026-01-02T03:04:05.000000Z"}
        yield made


def of(index: Index, place: str | None = None) -> dict[str, Release]:
    name, data = next(iter(index.files.items()))
    wheel = Wheel(filename=name, url="", sha256=hashlib.sha256(data).hexdigest(), index=place)
    return find_releases([wheel], lambda _: [f"{index.url}/simple"])


def test_the_time_and_the_status_are_those_of_the_index(index: Index) -> None:
    index.statuses["alpha"] = "quarantined"
    (release,) = of(index).values()
    assert release == Release(uploaded="2026-01-02T03:04:05.000000Z", status="quarantined")


@pytest.mark.parametrize(
    ("yanked", "expected"), [(False, None), (True, ""), ("broken\n!", "broken!"), (None, None)]
)
def test_a_yanked_file_has_a_reason(index: Index, yanked: object, expected: str | None) -> None:
    index.facts["alpha-1.0-py3-none-any.whl"]["yanked"] = yanked
    assert of(index)["alpha-1.0-py3-none-any.whl"].yanked == expected


def test_the_index_in_the_lock_comes_first_and_others_are_asked_too(index: Index) -> None:
    assert of(index, f"{index.url}/simple")
    assert of(index, "http://127.0.0.1:1/simple")
    assert of(index, "file:///nowhere")


def test_a_file_with_other_bytes_is_another_file(index: Index) -> None:
    wheel = Wheel(filename="alpha-1.0-py3-none-any.whl", url="", sha256="0" * 64)
    assert find_releases([wheel], lambda _: [f"{index.url}/simple"]) == {}


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html>",
        b"[]",
        b"{}",
        b'{"files": 5}',
        b'{"files": [{}]}',
        b'{"files": [{"filename": "a", "hashes": 5}]}',
        b'{"files": [], "project-status": 5}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_page_of_another_form_says_nothing(
    index: Index, page: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "json_page", lambda _: page)
    assert of(index) == {}


def test_facts_of_the_wrong_type_are_left_out(index: Index) -> None:
    facts = {"upload-time": 5, "yanked": {"a": 1}, "provenance": 7}
    index.facts["alpha-1.0-py3-none-any.whl"] = facts
    index.statuses["alpha"] = "excellent"
    assert of(index)["alpha-1.0-py3-none-any.whl"] == Release(yanked="", status="active")
    assert json.dumps(facts)


def test_an_index_that_fails_is_an_error_unless_another_one_knows_the_file(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, an attestation and the fact that a file was yanked could be kept back."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "1")
    assert of(index, "http://127.0.0.1:1/simple")
    index.password = "secret of me"  # noqa: S105 - of a stand-in
    assert of(index) == {}, "an index that the wheel does not come from may refuse"
    words = "indexes did not say what they know about wheels of this bundle\n"
    with pytest.raises(WheelhouseError, match=f"{words}.*401"):
        of(index, f"{index.url}/simple")
    monkeypatch.setattr(index, "json_page", lambda _: 1 / 0)
    index.password = ""
    with pytest.raises(WheelhouseError, match=words):
        of(index)


def test_another_index_whose_url_begins_like_that_of_the_wheel_may_refuse(index: Index) -> None:
    wheel = Wheel(
        filename="alpha-1.0-py3-none-any.whl", url="", sha256="0" * 64, index=f"{index.url}/simple"
    )
    assert find_releases([wheel], lambda _: [f"{index.url}/simple-more"]) == {}


def test_a_project_that_an_index_does_not_have_is_no_error(index: Index) -> None:
    wheel = Wheel(filename="beta-1.0-py3-none-any.whl", url="", sha256="0" * 64)
    assert find_releases([wheel], lambda _: [f"{index.url}/simple"]) == {}
