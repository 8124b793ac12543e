"""The one door to HTTP: bytes from a URL, with retries, timeouts and the site's certificates."""

from __future__ import annotations

import os
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from wheelhouse.certificates import ca_bundle
from wheelhouse.credentials import Credentials, split_user
from wheelhouse.errors import DownloadError, WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_CHUNK = 1 << 18
_BACKOFF = 0.25
# Seconds; nobody waits an hour for a busy server.
_LONGEST_WAIT = 60.0
# Bytes of a body whose size nobody announced; wheels that are larger come from servers that do.
_UNANNOUNCED_LIMIT = 1 << 30
# Bytes per second, on average over the time after which a silent server is given up.
_SLOWEST = 1000
# Lists and sums are far smaller; more is an attack on memory.
_FETCH_LIMIT = 64 << 20


class FetchError(Exception):
    """Why bytes did not come; `again` when another try may help."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class _SharedContext(HTTPAdapter):
    """Connections that share one TLS context: loading the CA bundle costs more CPU than a small wheel does.

    Hosts in `insecure`, with or without a port, may show any certificate.
    """

    def __init__(self, context: ssl.SSLContext, insecure: frozenset[str], **options: Any) -> None:
        self._context = context
        self._insecure = insecure
        super().__init__(**options)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        if host["scheme"] == "https":
            pool.pop("ca_certs", None)
            pool.pop("ca_cert_dir", None)
            if self._insecure & {host["host"], f"{host['host']}:{host['port']}"}:
                pool["cert_reqs"] = "CERT_NONE"
            else:
                pool["ssl_context"] = self._context
        return host, pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave the CA bundle alone: the context holds it and always verifies."""


class _Patience(Retry):
    """Waits as long as a server asks for, within reason."""

    def get_retry_after(self, response: Any) -> float | None:
        """Return the seconds to wait that the answer names, if it names any."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT)


class Client:
    """Connections that are kept alive and shared by `threads` threads.

    Honours what requests honours (proxies, netrc), the site's `ca_bundle`, and uv's UV_HTTP_TIMEOUT (seconds without a
    byte, 30), UV_HTTP_RETRIES (3), SSL_CLIENT_CERT and UV_INSECURE_HOST. `credentials` are those of indexes; requests
    keeps them from the hosts that a server redirects to.
    """

    def __init__(self, threads: int = 1, credentials: Credentials | None = None) -> None:
        self._credentials = credentials or Credentials()
        self.retries = int(os.environ.get("UV_HTTP_RETRIES") or 3)
        self._timeout = float(os.environ.get("UV_HTTP_TIMEOUT") or 30)
        insecure = frozenset(os.environ.get("UV_INSECURE_HOST", "").split())
        retry = _Patience(
            total=self.retries,
            backoff_factor=_BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
        )
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.mount("https://", _SharedContext(_context(), insecure, pool_maxsize=threads, max_retries=retry))
        self._session.mount("http://", HTTPAdapter(pool_maxsize=threads, max_retries=retry))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _user(self, url: str) -> HTTPBasicAuth | None:
        """Return user and password for `url`; a name alone may be a token, or one that netrc has the password of."""
        found: tuple[str, str] | None = split_user(url)[1:]
        if not any(found or ()):
            found = self._credentials.near(url)
        if not found or not found[1]:
            found = requests.utils.get_netrc_auth(url) or found
        # In UTF-8 as uv sends them; requests would take Latin-1.
        return HTTPBasicAuth(found[0].encode(), found[1].encode()) if found else None

    def read(self, url: str, limit: int = _FETCH_LIMIT) -> bytes:
        """Return the bytes at `url`, at most `limit` of them; raise `FetchError`."""
        data = bytearray()
        for chunk in self.chunks(url):
            data += chunk
            if len(data) > limit:
                raise FetchError(f"is longer than {limit} bytes")
        return bytes(data)

    def chunks(self, url: str, resume: Resume | None = None) -> Generator[bytes, None, None]:
        """Yield the bytes at a http, https or file URL as they come; raise `FetchError`.

        With `resume`, whose `start` bytes are there already, yield the rest if the server still has the same file, else
        set `start` to 0 and yield all of it. `resume` learns how to recognize the file.
        """
        if url.startswith("file:"):
            yield from _of_disk(url)
            return
        try:
            auth = self._user(url)
            headers = resume.headers() if resume else {}
            with self._session.get(url, stream=True, timeout=self._timeout, auth=auth, headers=headers) as response:
                if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
                    raise FetchError(f"the server says {response.status_code} {_printable(response.reason)}")
                if resume:
                    resume.learn(response)
                yield from self._body(response)
        except requests.Timeout as fault:
            raise FetchError(f"no answer within {self._timeout:g} s") from fault
        except (requests.RequestException, ValueError) as fault:  # the latter for URLs that are none
            raise FetchError(_plain(fault)) from fault
        except (HTTPError, OSError) as fault:  # the body broke off or stalled
            raise FetchError(_plain(fault), again=True) from fault

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it comes; raise `FetchError` where it comes too slowly to ever end, or has no end."""
        since, received, total = time.monotonic(), 0, 0
        length = response.headers.get("Content-Length", "")
        limit = int(length) if length.isdigit() else _UNANNOUNCED_LIMIT
        # Not `read`, which waits until a whole chunk is there.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
            received, total = received + len(chunk), total + len(chunk)
            if total > limit:
                raise FetchError(f"does not end: the server announced no size and sent more than {limit / 1e9:.0f} GB")
            passed = time.monotonic() - since
            if passed > self._timeout:
                if received < _SLOWEST * passed:
                    raise FetchError(f"comes at less than {_SLOWEST / 1000:g} kB/s", again=True)
                since, received = time.monotonic(), 0


def _bad_certificates(path: str, fault: OSError) -> WheelhouseError:
    return WheelhouseError(
        f"{path}: cannot be read as certificates ({fault.strerror or fault})",
        hint="fix or unset SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CLIENT_CERT",
    )


def _context() -> ssl.SSLContext:
    """Return the TLS context of the site; raise `WheelhouseError`."""
    bundle = ca_bundle()
    certificate = os.environ.get("SSL_CLIENT_CERT")
    try:
        if bundle is None and sys.platform in ("win32", "darwin"):
            import truststore

            context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(certifi.where())
        else:
            path = bundle or certifi.where()
            folder = Path(path).is_dir()
            context = ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
    except OSError as fault:  # ssl.SSLError is one
        raise _bad_certificates(bundle or certifi.where(), fault) from fault
    try:
        if certificate:
            context.load_cert_chain(certificate)
    except OSError as fault:
        raise _bad_certificates(certificate or "", fault) from fault
    return context


@dataclass
class Resume:
    """How far a download has come, and the server's words for the file that it is of (RFC 9110, 13.1.5 and 14)."""

    start: int = 0
    validator: str = ""

    def headers(self) -> dict[str, str]:
        """Return what asks for the rest, under the condition that the file is still the same."""
        if not self.start or not self.validator:
            self.start = 0
            return {}
        return {"Range": f"bytes={self.start}-", "If-Range": self.validator}

    def learn(self, response: requests.Response) -> None:
        """Take note of what the server sends; raise `FetchError` for a part that was not asked for."""
        if response.status_code == requests.codes.partial_content:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {self.start}-") or not self.start:
                self.start, self.validator = 0, ""
                raise FetchError("the server sends another part than it was asked for", again=True)
            return
        self.start = 0
        etag = response.headers.get("ETag", "")
        # A weak one vouches for the meaning and not for the bytes.
        self.validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _of_disk(url: str) -> Iterator[bytes]:
    try:
        path = Path(url2pathname(urlsplit(url).path))
        if path.exists() and not path.is_file():
            raise FetchError("is no file")
        with path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except OSError as fault:
        raise FetchError(str(fault.strerror)) from fault
    except ValueError as fault:
        raise FetchError(str(fault)) from fault


def fetch(url: str, credentials: Credentials | None = None, limit: int = _FETCH_LIMIT) -> bytes:
    """Return the bytes at `url`, at most `limit` of them; raise `DownloadError`."""
    client = Client(credentials=credentials)
    try:
        return client.read(url, limit)
    except FetchError as fault:
        name = url.partition("?")[0].rpartition("/")[2]
        raise DownloadError([(name, url, str(fault))]) from fault
    finally:
        client.close()


def _printable(text: str) -> str:
    """Return what a server says without what would steer a terminal."""
    return "".join(character for character in text if character.isprintable())


def _plain(fault: BaseException) -> str:
    """Return the innermost words of `fault`: requests wraps urllib3, which wraps the socket."""
    while True:
        inner = next((part for part in fault.args if isinstance(part, BaseException)), None) or getattr(
            fault, "reason", None
        )
        if not isinstance(inner, BaseException):
            return _printable(f"{type(fault).__name__}: {fault}" if not isinstance(fault, OSError) else str(fault))
        fault = inner
