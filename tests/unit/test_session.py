"""Sessions of the HPS client against a server that answers as it should not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest
import requests

from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.hps.session import guard, guard_logins

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a server, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def sent(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        guard(made)
        yield made


def test_an_answer_of_the_api_is_handed_on(session: requests.Session) -> None:
    with answering(sent(200, b'{"version": "1.2"}')) as (url, _):
        assert session.get(url).json() == {"version": "1.2"}


def test_nothing_is_sent_to_where_another_server_redirects(session: requests.Session) -> None:
    with (
        answering(sent(200)) as (elsewhere, asked),
        answering(sent(307, Location=f"{elsewhere}/x")) as (url, _),
    ):
        with pytest.raises(HpsError, match="redirects to another one"):
            session.post(url, data={"password": "secret"})
        assert asked == []


def test_a_redirect_on_the_same_server_is_followed(session: requests.Session) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        (sent(302, Location="/there") if handler.path == "/here" else sent(200, b"[1]"))(handler)

    with answering(answer) as (url, asked):
        assert session.get(f"{url}/here").json() == [1]
        assert asked == ["/here", "/there"]


def test_a_web_page_in_place_of_the_api_is_told(session: requests.Session) -> None:
    answer = sent(200, b"<!DOCTYPE html><p>Log in</p>", Content_Type="text/html")
    with (
        answering(answer) as (url, _),
        pytest.raises(HpsError, match="a web page instead of HPS's API"),
    ):
        session.get(url)


LOGINS = ("ansys.hps.client.authenticate", "ansys.hps.client.auth.api.oidc_login")


@pytest.mark.parametrize("name", LOGINS)
def test_a_login_sends_nothing_to_where_another_server_redirects(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in LOGINS:
        monkeypatch.setattr(import_module(each), "requests", requests)
    guard_logins()
    login = import_module(name).requests
    with (
        answering(sent(200)) as (elsewhere, asked),
        answering(sent(307, Location=f"{elsewhere}/x")) as (url, _),
    ):
        with pytest.raises(HpsError, match="redirects to another one"):
            login.post(url, data={"password": "secret"})
        with login.Session() as session, pytest.raises(HpsError, match="redirects to another one"):
            session.get(url)
        with requests.Session() as other:
            assert other.get(url).json() == {}, "only logins are guarded"
    assert asked == ["/x"]


def test_the_fields_of_a_login_and_the_tokens_of_its_answer_are_hidden(
    session: requests.Session,
) -> None:
    with answering(sent(200, b'{"access_token": "opaque-token-1", "expires_in": 3}')) as (url, _):
        session.post(url, data={"username": "anna", "password": "open sesame"})
    assert plain("anna: open sesame, open%20sesame, opaque-token-1") == "anna: ***, ***, ***"


def test_a_time_that_cannot_be_read_is_no_reason_to_fail(session: requests.Session) -> None:
    answers = iter([503])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent(next(answers, 200), Retry_After="soon")(handler)

    with answering(answer) as (url, _):
        assert session.get(url).status_code == 200


@pytest.mark.parametrize(("status", "attempts"), [(429, 2), (503, 2), (502, 1), (504, 1)])
def test_what_a_server_says_it_has_not_processed_is_sent_again(
    session: requests.Session, status: int, attempts: int
) -> None:
    statuses = iter([status])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent(next(statuses, 200), Retry_After="0")(handler)

    with answering(answer) as (url, asked):
        assert session.post(url, data={"name": "x"}).status_code == (
            200 if attempts > 1 else status
        )
        assert len(asked) == attempts


def test_a_server_that_does_not_answer_is_given_up(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPS_TIMEOUT", "0.2")
    ended = threading.Event()

    def answer(_handler: BaseHTTPRequestHandler) -> None:
        ended.wait(5)

    with (
        answering(answer) as (url, _),
        pytest.raises(requests.exceptions.RequestException, match="timed out"),
    ):
        session.get(url)
    ended.set()


def test_a_busy_server_is_waited_for_as_long_as_it_asks_but_no_longer_than_the_time_limit(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPS_TIMEOUT", "0.2")
    with answering(sent(503, Retry_After="86400")) as (url, asked):
        assert session.get(url).status_code == 503
        assert len(asked) == 6


def test_a_busy_server_is_asked_again_but_not_to_do_a_thing_twice(
    session: requests.Session,
) -> None:
    answers = iter([503])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent(next(answers, 200))(handler)

    with answering(answer) as (url, asked):
        assert session.get(url).status_code == 200
        assert len(asked) == 2
    with answering(sent(503)) as (url, asked):
        assert session.post(url).status_code == 503
        assert len(asked) == 1
