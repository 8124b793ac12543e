"""Sessions of the HPS client against a server that answers as it should not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest
import requests
from requests.adapters import HTTPAdapter

from bundler.hps import guard
from bundler.hps.errors import HpsError
from bundler.hps.session import GuardedAdapter, guard_logins, guard_session

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
        guard_session(made)
        yield made


def test_an_answer_of_the_api_is_handed_on(session: requests.Session) -> None:
    with answering(sent(200, b'{"version": "1.2"}')) as (url, _):
        assert session.get(url).json() == {"version": "1.2"}


def test_only_the_sessions_of_the_client_are_guarded() -> None:
    with requests.Session() as other, answering(sent(200, b"<html>", Content_Type="text/html")) as (url, _):
        assert not any(isinstance(adapter, GuardedAdapter) for adapter in other.adapters.values())
        assert other.get(url).text == "<html>"
    assert HTTPAdapter.send.__module__ == "requests.adapters"


def test_nothing_is_sent_to_where_another_server_redirects(session: requests.Session) -> None:
    with answering(sent(200)) as (elsewhere, asked), answering(sent(307, Location=f"{elsewhere}/x")) as (url, _):
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
    with answering(answer) as (url, _), pytest.raises(HpsError, match="a web page instead of HPS's API"):
        session.get(url)


def test_an_answer_without_end_is_given_up(session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGEST", 1 << 20)
    with answering(sent(200, b"x" * (2 << 20))) as (url, _), pytest.raises(HpsError, match="larger than 1 MiB"):
        session.get(url)


def test_a_busy_server_is_asked_again_but_not_to_do_a_thing_twice(session: requests.Session) -> None:
    answers = iter([503])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent(next(answers, 200))(handler)

    with answering(answer) as (url, asked):
        assert session.get(url).status_code == 200
        assert len(asked) == 2
    with answering(sent(503)) as (url, asked):
        assert session.post(url).status_code == 503
        assert len(asked) == 1


@pytest.mark.parametrize("name", ["ansys.hps.client.authenticate", "ansys.hps.client.auth.api.oidc_login"])
def test_the_client_logs_in_with_guarded_sessions_and_nobody_else_gets_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(name)
    monkeypatch.setattr(module, "requests", requests)
    guard_logins(module)
    with module.requests.Session() as made:
        assert all(isinstance(adapter, GuardedAdapter) for adapter in made.adapters.values())
    answer = sent(200, b"<html>", Content_Type="text/html")
    with answering(answer) as (url, _), pytest.raises(HpsError, match="a web page"):
        module.requests.post(url, data={}, timeout=5)
    assert module.requests.exceptions is requests.exceptions
    assert not any(isinstance(adapter, GuardedAdapter) for adapter in requests.Session().adapters.values())
