"""Sessions within the bounds of `bundler.hps.guard`: the one of the HPS client, and those in which it logs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

from bundler.hps.guard import exchange

if TYPE_CHECKING:
    from types import ModuleType


class GuardedAdapter(HTTPAdapter):
    """An adapter whose answers are bounded in time and size, and that follows redirects on the same server only."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send `request`; raise `HpsError` for an answer out of bounds, and what requests raises."""

        def send(**bounds: Any) -> requests.Response:
            return super(GuardedAdapter, self).send(request, *args, **bounds)

        return exchange(send, request, options, _next_url)  # type: ignore[no-any-return]


class _LoginSession(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, GuardedAdapter())


class _Requests:
    """The part of `requests` with which the client logs in."""

    Session = session = _LoginSession
    exceptions = requests.exceptions

    @staticmethod
    def post(url: str, **options: Any) -> requests.Response:
        with _LoginSession() as session:
            return session.post(url, **options)


def guard_logins(module: ModuleType) -> None:
    """Give `module` of the client guarded sessions: it makes its own to log in, and takes none."""
    module.requests = _Requests  # type: ignore[attr-defined]  # its name for the library


def guard_session(session: requests.Session) -> None:
    """Mount guarded adapters on the `session` of a client, with its own rules for connections that fail."""
    for scheme, adapter in list(session.adapters.items()):
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 - requests has no other
        # An answer that does not come is not waited for five times more, and the guard waits for busy servers.
        retries = adapter.max_retries.new(read=1, status_forcelist=(), respect_retry_after_header=False)
        session.mount(scheme, GuardedAdapter(max_retries=retries))


def _next_url(response: requests.Response) -> str:
    """Return where requests itself would go from a redirect."""
    steps = requests.Session().resolve_redirects(response, response.request, yield_requests=True)
    return str(next(steps).url)
