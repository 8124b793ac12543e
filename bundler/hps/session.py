"""HTTP sessions with the limits of `bundler.hps.guard`: that of the HPS client, and those of its logins."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bundler.hps.guard import exchange


class GuardedAdapter(HTTPAdapter):
    """An adapter that limits time and size of answers, and follows redirects on the same server only."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send `request`. Raises `HpsError` for an answer outside the limits, and the errors of requests."""

        def send(**bounds: Any) -> requests.Response:
            return super(GuardedAdapter, self).send(request, *args, **bounds)

        return exchange(send, request, options, _next_url)  # type: ignore[no-any-return]


class _LoginSession(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, GuardedAdapter())


class _Requests:
    """The part of `requests` that the client uses to log in."""

    Session = session = _LoginSession
    exceptions = requests.exceptions

    @staticmethod
    def post(url: str, **options: Any) -> requests.Response:
        with _LoginSession() as session:
            return session.post(url, **options)


def guard_logins(module: ModuleType) -> None:
    """Give `module` of the client limited sessions; it creates its own sessions to log in."""
    module.requests = _Requests  # type: ignore[attr-defined]  # Its name for the library.


def guard_session(session: requests.Session) -> None:
    """Mount limited adapters on the `session` of a client, with its rules for failed connections."""
    for scheme, adapter in list(session.adapters.items()):
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 - requests has no others
        # A missing answer is not waited for five times, and the guard retries for busy servers.
        retries = adapter.max_retries.new(read=1, status_forcelist=(), respect_retry_after_header=False)
        session.mount(scheme, GuardedAdapter(max_retries=retries))


def _next_url(response: requests.Response) -> str:
    """Return the target of a redirect as requests computes it."""
    steps = requests.Session().resolve_redirects(response, response.request, yield_requests=True)
    return str(next(steps).url)
