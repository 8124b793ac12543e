from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.stand_ins import index as faults
from tests.stand_ins.index import Index, serving
from wheelhouse.errors import DownloadError, FileError
from wheelhouse.fetch import http
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.fetch.download import Downloads
from wheelhouse.fetch.fallback import mirrors
from wheelhouse.wheel import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand_ins.index import Fault

NAME = "alpha-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "0.5")
    monkeypatch.setenv("UV_HTTP_RETRIES", "2")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def offer(index: Index, name: str = NAME, size: int | None = 1_000_000) -> Wheel:
    """Put random bytes into the index; return the wheel that a lock would name."""
    data = os.urandom(1_000_000)
    index.files[name] = data
    return Wheel(
        filename=name,
        url=f"{index.url}/files/{name}",
        sha256=hashlib.sha256(data).hexdigest(),
        size=size,
    )


def fetch(wheels: list[Wheel], cache: Path) -> Downloads:
    downloads = Downloads(wheels, cache)
    for _ in downloads.run():
        pass
    return downloads


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.name.endswith(".partial")]


def test_wheels_arrive_whole_and_are_not_fetched_again(index: Index, tmp_path: Path) -> None:
    wheels = [offer(index, f"a{number}-1.0-py3-none-any.whl") for number in range(20)]
    first = fetch(wheels, tmp_path)
    assert len(first.fetched) == 20
    assert all(first.path(wheel).read_bytes() == index.files[wheel.filename] for wheel in wheels)
    assert fetch(wheels, tmp_path).fetched == []
    assert set(index.requests.values()) == {1}
    assert leftovers(tmp_path) == []


def test_a_file_of_the_cache_that_somebody_wrote_to_is_fetched_again(
    index: Index, tmp_path: Path
) -> None:
    wheel = offer(index)
    path = fetch([wheel], tmp_path).path(wheel)
    path.write_bytes(b"tampered")
    assert fetch([wheel], tmp_path).fetched == [wheel]
    assert path.read_bytes() == index.files[NAME]


@pytest.mark.parametrize(
    "fault", [faults.twice_503, faults.truncated_once, faults.reset, faults.lying, faults.exchanged]
)
def test_a_passing_fault_is_retried(index: Index, tmp_path: Path, fault: Fault) -> None:
    wheel = offer(index)
    index.faults[NAME] = fault
    assert fetch([wheel], tmp_path).fetched == [wheel]


@pytest.mark.parametrize(
    ("fault", "words", "requests"),
    [
        (faults.missing, "404", 1),
        (faults.always_503, "503", 3),
        (faults.truncated, "IncompleteRead|bytes", 3),
        (faults.short, "ended after 500000 of 1000000 bytes", 3),
        (faults.corrupt, "has the digest .*, but the lock says", 1),
        (faults.longer, "longer than the 1000000 bytes", 1),
        (faults.endless, "longer than the 1000000 bytes", 1),
        (faults.stalled, "timed out", 3),
        (faults.redirect_loop, "redirects", 31),
        (faults.html, "ended after 26 of 1000000 bytes", 3),
    ],
)
def test_a_lasting_fault_is_told_with_the_file_and_the_place(
    index: Index, tmp_path: Path, fault: Fault, words: str, requests: int
) -> None:
    wheel = offer(index)
    index.faults[NAME] = fault
    with pytest.raises(DownloadError, match=rf"alpha-1\.0.*({words}).*{index.url}"):
        fetch([wheel], tmp_path)
    assert index.requests[f"/files/{NAME}"] == requests
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_broke_off_goes_on_where_it_was(index: Index, tmp_path: Path) -> None:
    remote = offer(index)
    index.faults[remote.filename] = faults.resumable
    fetch([remote], tmp_path)
    assert index.resumed == [500_000]
    assert index.requests[f"/files/{remote.filename}"] == 2


def test_a_file_that_was_exchanged_meanwhile_is_not_pieced_together(
    index: Index, tmp_path: Path
) -> None:
    remote = offer(index)
    index.faults[remote.filename] = faults.exchanged
    fetch([remote], tmp_path)
    assert index.resumed == []


def test_a_server_that_says_when_to_come_back_is_obeyed(index: Index, tmp_path: Path) -> None:
    remote = offer(index)
    index.faults[remote.filename] = faults.busy_for_a_second
    fetch([remote], tmp_path)
    first, second = index.times
    assert second - first >= 1


def test_a_redirect_to_another_host_takes_no_credentials_with_it(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = offer(index)
    seen = []

    def answer(handler: faults.Handler, data: bytes, _: int) -> None:
        seen.append(handler.headers["Authorization"])
        handler.answer(data, "application/octet-stream")

    with faults.serving(faults.Index()) as other:
        other.files = {remote.filename: index.files[remote.filename]}
        other.faults[remote.filename] = answer
        index.password = "secret"  # noqa: S105 - of nobody
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        target = f"{other.url.replace('127.0.0.1', 'localhost')}/files/{remote.filename}"
        index.faults[remote.filename] = lambda handler, _, __: handler.send(
            302, b"", Location=target
        )
        host = index.url.removeprefix("http://")
        downloads = Downloads(
            [remote], tmp_path, Credentials(indexes={f"http://{host}/simple": ("me", "secret")})
        )
        list(downloads.run())
    assert seen == [None]


def test_what_did_arrive_before_a_fault_is_kept(index: Index, tmp_path: Path) -> None:
    wheels = [offer(index, f"a{number}-1.0-py3-none-any.whl") for number in range(30)]
    index.faults[wheels[29].filename] = faults.short
    with pytest.raises(DownloadError) as caught:
        fetch(wheels, tmp_path)
    assert [name for name, _, _ in caught.value.errors] == [wheels[29].filename]
    del index.faults[wheels[29].filename]
    assert len(fetch(wheels, tmp_path).fetched) < 30


def test_nobody_at_home_is_told_in_words(tmp_path: Path) -> None:
    wheel = Wheel(filename=NAME, url="http://127.0.0.1:9/x.whl", sha256="0" * 64)
    with pytest.raises(DownloadError, match="Connection refused"):
        fetch([wheel], tmp_path)


def test_a_wheel_from_a_folder_is_copied_and_checked(tmp_path: Path) -> None:
    source = tmp_path / "with space" / NAME
    source.parent.mkdir()
    source.write_bytes(b"wheel")
    good = Wheel(filename=NAME, url=source.as_uri(), sha256=hashlib.sha256(b"wheel").hexdigest())
    assert fetch([good], tmp_path / "cache").path(good).read_bytes() == b"wheel"
    bad = Wheel(filename=NAME, url=source.as_uri(), sha256="0" * 64)
    with pytest.raises(DownloadError, match="the lock says 0000"):
        fetch([bad], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_the_fault_of_the_disk(
    index: Index, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=f"{tmp_path}/file.*: Not a directory"):
        fetch([offer(index)], tmp_path / "file")


@pytest.mark.parametrize("fault", [faults.missing, faults.corrupt, faults.always_503, faults.html])
def test_what_its_place_does_not_give_comes_from_another_index_that_has_the_same_bytes(
    index: Index, tmp_path: Path, fault: Fault
) -> None:
    wheel = offer(index)
    index.faults[NAME] = fault
    with serving(Index()) as worse, serving(Index()) as other:
        worse.files[NAME] = b"other bytes under the same name"
        other.files[NAME] = index.files[NAME]
        simple = ["http://127.0.0.1:9/simple", f"{worse.url}/simple", f"{other.url}/simple/"]
        downloads = Downloads(
            [wheel], tmp_path, elsewhere=lambda project: simple if project == "alpha" else []
        )
        list(downloads.run())
        assert downloads.fetched == [wheel]
        assert worse.requests == {"/simple/alpha/": 1}, "the digest on its page says enough"
    assert downloads.path(wheel).read_bytes() == index.files[NAME]


def test_an_index_that_lies_about_its_digests_is_passed_over_and_the_first_fault_told(
    index: Index, tmp_path: Path
) -> None:
    wheel = offer(index)
    index.faults[NAME] = faults.missing
    with serving(Index()) as liar:
        liar.files[NAME] = index.files[NAME]
        liar.faults[NAME] = faults.corrupt
        with pytest.raises(DownloadError, match="404"):
            list(Downloads([wheel], tmp_path, elsewhere=lambda _: [f"{liar.url}/simple"]).run())
        assert liar.requests[f"/files/{NAME}"] == 1
    assert leftovers(tmp_path) == []


def test_a_folder_that_is_a_simple_index_is_a_mirror_too(index: Index, tmp_path: Path) -> None:
    wheel = offer(index)
    page = tmp_path / "mirror" / "alpha" / "index.html"
    page.parent.mkdir(parents=True)
    (page.parent / NAME).write_bytes(index.files.pop(NAME))
    page.write_text(
        f'<a>no link</a><a href="javascript:x#sha256={wheel.sha256}">x</a><a href="{NAME}">no digest</a>'
    )
    mirror = (tmp_path / "mirror").as_uri()
    with pytest.raises(DownloadError):
        list(Downloads([wheel], tmp_path / "cache", elsewhere=lambda _: [mirror]).run())
    page.write_text(f'<a href="{NAME}#sha256={wheel.sha256}">{NAME}</a>')
    downloads = Downloads([wheel], tmp_path / "cache", elsewhere=lambda _: [mirror])
    list(downloads.run())
    assert downloads.fetched == [wheel]


@pytest.mark.parametrize("place", ["http://[::1", "http://\xff\xfe/", "ftp://x.test/y"])
def test_a_redirect_to_nowhere_is_told_in_words(index: Index, tmp_path: Path, place: str) -> None:
    wheel = offer(index)
    index.faults[NAME] = lambda handler, _data, _before: handler.send(302, b"", Location=place)
    with pytest.raises(DownloadError, match=NAME):
        fetch([wheel], tmp_path)


def test_a_server_that_asks_for_a_week_gets_a_minute(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelhouse.fetch.http._LONGEST_WAIT", 0.1)
    wheel = offer(index)
    index.faults[NAME] = lambda handler, _data, _before: handler.send(
        503, b"", Retry_After="604800"
    )
    with pytest.raises(DownloadError, match="503"):
        fetch([wheel], tmp_path)


def test_passwords_travel_in_utf_8(index: Index, tmp_path: Path) -> None:
    wheel = offer(index)
    index.password = "p\u00e4\u20ac"  # noqa: S105 - of nobody
    downloads = Downloads(
        [wheel], tmp_path, Credentials(indexes={f"{index.url}/simple": ("me", index.password)})
    )
    list(downloads.run())
    assert downloads.fetched == [wheel]


@pytest.mark.parametrize("page", [b'<a href="http://[x#sha256=00">', b"<![foo[", b"\xff", b""])
def test_a_page_that_is_none_lists_nothing(index: Index, tmp_path: Path, page: bytes) -> None:
    wheel = offer(index)
    index.faults[NAME] = faults.missing
    (tmp_path / "alpha").mkdir()
    (tmp_path / "alpha" / "index.html").write_bytes(page)
    with pytest.raises(DownloadError, match="404"):
        list(Downloads([wheel], tmp_path / "cache", elsewhere=lambda _: [tmp_path.as_uri()]).run())


def test_an_index_elsewhere_does_not_lead_to_files_of_this_machine() -> None:
    page = b'<a href="file:///dev/zero#sha256=00">x</a><a href="https://x.test/y#sha256=00">y</a>'
    assert list(mirrors("alpha", "00", ["https://x.test/simple"], lambda *_: page)) == [
        "https://x.test/y"
    ]
    assert len(list(mirrors("alpha", "00", ["file:///mirror"], lambda *_: page))) == 2


def test_a_body_without_an_announced_end_is_given_up(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_UNANNOUNCED_LIMIT", 20_000_000)
    index.faults[NAME] = faults.endless
    with pytest.raises(DownloadError, match="no size was announced, but more than"):
        fetch([offer(index, size=None)], tmp_path)
    assert leftovers(tmp_path) == []


def test_a_body_that_comes_byte_by_byte_is_given_up(index: Index, tmp_path: Path) -> None:
    index.faults[NAME] = faults.trickle
    started = time.monotonic()
    with pytest.raises(DownloadError, match="is slower than 1 kB/s"):
        fetch([offer(index)], tmp_path)
    assert time.monotonic() - started < 30
