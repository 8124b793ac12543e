"""The only access to HTTP: bytes from a URL, with retries, timeouts and the site's certificates."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from wheelhouse.errors import DownloadError, WheelhouseError
from wheelhouse.fetch.certificates import ca_bundle
from wheelhouse.fetch.credentials import Credentials, split_user
from wheelhouse.files import explained

_CHUNK = 1 << 18
# Bytes of a body that are passed on together, and the seconds after which fewer are: each block is written and hashed,
# and threads that do so for every packet fight for the lock of the interpreter.
_BLOCK, _PAUSE = 1 << 20, 0.2
_BACKOFF = 0.25
# Seconds; nobody wants to wait an hour for a busy server.
_LONGEST_WAIT = 60.0
# Bytes of a body of unknown size; servers of larger wheels announce their size.
_UNANNOUNCED_LIMIT = 1 << 30
# Bytes per second, averaged over the time after which a silent server is given up.
_SLOWEST = 1000
# Lists and checksums are far smaller; more would be an attack on memory.
_FETCH_LIMIT = 64 << 20
# Some indexes answer 403 for a project that they do not have.
_REFUSED = (401, 403, 404, 410)


class FetchError(Exception):
    """A failed download; `again` if another attempt may succeed, `refused` if the server does not offer it to us."""

    def __init__(self, reason: str, *, again: bool = False, refused: bool = False) -> None:
        super().__init__(reason)
        self.again = again
        self.refused = refused


class _SharedContext(HTTPAdapter):
    """Connections with a common TLS context: loading certificates costs more time than downloading a small wheel.

    Certificates of the hosts in `insecure`, with or without a port, are not verified.
    """

    def __init__(self, context: ssl.SSLContext, insecure: frozenset[str], **options: Any) -> None:
        self._context = context
        self._insecure = insecure
        super().__init__(**options)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        if host["scheme"] != "https":
            return host, pool
        pool.pop("ca_certs", None)
        pool.pop("ca_cert_dir", None)
        names = {host["host"], f"{host['host']}:{host['port']}"}
        if names.isdisjoint(self._insecure):
            pool["ssl_context"] = self._context
        else:
            pool["cert_reqs"] = "CERT_NONE"
        return host, pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Do nothing: the context has the certificates and always verifies."""


class _Patience(Retry):
    """Retries that wait as long as a server requests, within limits."""

    def get_retry_after(self, response: Any) -> float | None:
        """Return the delay that the response requests, in seconds, if any."""
        asked = super().get_retry_after(response)
        if asked is None:
            return None
        return min(asked, _LONGEST_WAIT)


class Client:
    """Persistent connections, shared by `threads` threads.

    Respects what requests respects (proxies, netrc), the site's certificates, and uv's UV_HTTP_TIMEOUT (seconds
    without data, 30), UV_HTTP_RETRIES (3), SSL_CLIENT_CERT and UV_INSECURE_HOST. `credentials` are those of indexes;
    requests does not send them to hosts that a server redirects to.
    """

    def __init__(self, threads: int = 1, credentials: Credentials | None = None) -> None:
        self._credentials = credentials or Credentials()
        self.retries = int(os.environ.get("UV_HTTP_RETRIES") or 3)
        self._timeout = float(os.environ.get("UV_HTTP_TIMEOUT") or 30)
        insecure = os.environ.get("UV_INSECURE_HOST", "").split()
        retry = _Patience(
            total=self.retries,
            backoff_factor=_BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
        )
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"
        encrypted = _SharedContext(
            _context(),
            frozenset(insecure),
            pool_maxsize=threads,
            max_retries=retry,
        )
        plain = HTTPAdapter(pool_maxsize=threads, max_retries=retry)
        self._session.mount("https://", encrypted)
        self._session.mount("http://", plain)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _user(self, url: str) -> HTTPBasicAuth | None:
        """Return the user and password for `url`; a user alone may be a token, or have a password in netrc."""
        _, user, password = split_user(url)
        if not user and not password:
            user, password = self._credentials.near(url) or ("", "")
        if not password:
            user, password = requests.utils.get_netrc_auth(url) or (user, password)
        if not user and not password:
            return None
        # In UTF-8 like uv; requests would use Latin-1.
        return HTTPBasicAuth(user.encode(), password.encode())

    def read(self, url: str, limit: int = _FETCH_LIMIT, accept: str | None = None) -> bytes:
        """Return the bytes at `url`, of the media type `accept`. Raises `FetchError`, also above `limit` bytes."""
        data = bytearray()
        for chunk in self.chunks(url, accept=accept):
            data += chunk
            if len(data) > limit:
                raise FetchError(f"is longer than {limit} bytes")
        return bytes(data)

    def chunks(
        self,
        url: str,
        resume: Resume | None = None,
        accept: str | None = None,
    ) -> Generator[bytes, None, None]:
        """Yield the bytes at an http, https or file URL. Raises `FetchError`.

        With `resume`, of which `start` bytes are complete, yields the rest if the server still has the same file;
        otherwise sets `start` to 0 and yields everything. `resume` records how to recognize the file.
        """
        if url.startswith("file:"):
            yield from _of_disk(url)
            return
        try:
            with self._get(url, resume, accept) as response:
                _require_success(response)
                if resume:
                    resume.learn(response)
                yield from self._body(response)
        except requests.Timeout as error:
            raise FetchError(f"no answer within {self._timeout:g} s") from error
        except (requests.RequestException, ValueError) as error:  # ValueError for a malformed URL.
            raise FetchError(_plain(error)) from error
        except (HTTPError, OSError) as error:  # The body was interrupted.
            raise FetchError(_plain(error), again=True) from error

    def _get(self, url: str, resume: Resume | None, accept: str | None) -> requests.Response:
        headers = {}
        if resume:
            headers = resume.headers()
        if accept:
            headers["Accept"] = accept
        return self._session.get(
            url,
            stream=True,
            timeout=self._timeout,
            auth=self._user(url),
            headers=headers,
        )

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body in blocks. Raises `FetchError` if it is too slow to ever end, or endless."""
        block = bytearray()
        began = time.monotonic()
        try:
            for packet in self._packets(response):
                block += packet
                now = time.monotonic()
                if len(block) >= _BLOCK or now - began > _PAUSE:
                    yield bytes(block)
                    block.clear()
                    began = now
        except Exception:
            # What came before an interruption counts, since the download resumes after it.
            if block:
                yield bytes(block)
            raise
        if block:
            yield bytes(block)

    def _packets(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it comes. Raises `FetchError` if it is too slow to ever end, or endless."""
        length = response.headers.get("Content-Length", "")
        limit = int(length) if length.isdigit() else _UNANNOUNCED_LIMIT
        total = 0
        # Bytes since a time, for the speed.
        received = 0
        since = time.monotonic()
        # Not `read`, which would wait for a complete chunk.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
            received += len(chunk)
            total += len(chunk)
            if total > limit:
                raise FetchError(
                    f"does not end: no size was announced, but more than {limit / 1e9:.0f} GB arrived"
                )
            passed = time.monotonic() - since
            if passed <= self._timeout:
                continue
            if received < _SLOWEST * passed:
                raise FetchError(f"is slower than {_SLOWEST / 1000:g} kB/s", again=True)
            received = 0
            since = time.monotonic()


def _require_success(response: requests.Response) -> None:
    """Raise `FetchError` unless the server sends the file, or a part of it."""
    status = response.status_code
    if status not in (requests.codes.ok, requests.codes.partial_content):
        reason = f"the server answered {status} {_printable(response.reason)}"
        raise FetchError(reason, refused=status in _REFUSED)


def _context() -> ssl.SSLContext:
    """Return the TLS context of the site. Raises `WheelhouseError`."""
    bundle = ca_bundle()
    trusted = bundle or certifi.where()
    try:
        if bundle is None and sys.platform in ("win32", "darwin"):
            import truststore  # noqa: PLC0415 - only installed on these systems

            context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(trusted)
        elif Path(trusted).is_dir():
            context = ssl.create_default_context(capath=trusted)
        else:
            context = ssl.create_default_context(cafile=trusted)
    except OSError as error:  # Includes ssl.SSLError.
        raise _bad_certificates(trusted, error) from error
    certificate = os.environ.get("SSL_CLIENT_CERT")
    if not certificate:
        return context
    try:
        context.load_cert_chain(certificate)
    except OSError as error:
        raise _bad_certificates(certificate, error) from error
    return context


def _bad_certificates(path: str, error: OSError) -> WheelhouseError:
    return WheelhouseError(
        f"{path}: cannot be read as certificates ({error.strerror or error})",
        hint="fix or unset SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CLIENT_CERT",
    )


@dataclass
class Resume:
    """The progress of a download, and the server's validators for its file (RFC 9110, 13.1.5 and 14)."""

    start: int = 0
    validator: str = ""

    def headers(self) -> dict[str, str]:
        """Return headers that request the rest if the file is still the same."""
        if not self.start or not self.validator:
            self.start = 0
            return {}
        return {"Range": f"bytes={self.start}-", "If-Range": self.validator}

    def learn(self, response: requests.Response) -> None:
        """Record what the server sends. Raises `FetchError` for a part that was not requested."""
        if response.status_code == requests.codes.partial_content:
            sent = response.headers.get("Content-Range", "")
            if self.start and sent.startswith(f"bytes {self.start}-"):
                return
            self.start = 0
            self.validator = ""
            raise FetchError("the server sent another part than requested", again=True)
        self.start = 0
        self.validator = response.headers.get("ETag", "")
        # A weak validator does not guarantee the same bytes.
        if not self.validator.startswith('"'):
            self.validator = response.headers.get("Last-Modified", "")


def _of_disk(url: str) -> Iterator[bytes]:
    try:
        path = Path(url2pathname(urlsplit(url).path))
        if path.exists() and not path.is_file():
            raise FetchError("is not a file")
        with path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise FetchError(str(error.strerror)) from error
    except ValueError as error:
        raise FetchError(str(error)) from error


def fetch(url: str, credentials: Credentials | None = None, limit: int = _FETCH_LIMIT) -> bytes:
    """Return the bytes at `url`. Raises `DownloadError`, also above `limit` bytes."""
    with _one_request(url, credentials) as client:
        return client.read(url, limit)


def save(url: str, path: Path, credentials: Credentials | None = None) -> str:
    """Write the bytes at `url` to the new file `path`; return their SHA-256 in hex.

    They may be more than fit into memory. Raises `DownloadError`, `FileError`.
    """
    digest = hashlib.sha256()
    with _one_request(url, credentials) as client, explained(path), path.open("xb") as out:
        for chunk in client.chunks(url):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _one_request(url: str, credentials: Credentials | None) -> Iterator[Client]:
    """Yield a client for a request of `url`, whose failure becomes a `DownloadError`."""
    client = Client(credentials=credentials)
    try:
        yield client
    except FetchError as error:
        name = url.partition("?")[0].rpartition("/")[2]
        raise DownloadError([(name, url, str(error))]) from error
    finally:
        client.close()


def _printable(text: str) -> str:
    """Return `text` from a server without control characters."""
    return "".join(filter(str.isprintable, text))


def _plain(error: BaseException) -> str:
    """Return the innermost message of `error`: requests wraps urllib3, which wraps the socket."""
    inner = _inner(error)
    while inner is not None:
        error = inner
        inner = _inner(error)
    if isinstance(error, OSError):
        return _printable(str(error))
    return _printable(f"{type(error).__name__}: {error}")


def _inner(error: BaseException) -> BaseException | None:
    for part in error.args:
        if isinstance(part, BaseException):
            return part
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    return None
