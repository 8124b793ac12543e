"""The one door to HTTP: bytes from a URL, with retries, timeouts and the site's certificates."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from wheelhouse.certificates import ca_bundle
from wheelhouse.errors import BadCertificates, DownloadsFailed

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_CHUNK = 1 << 18
_BACKOFF = 0.25
# Lists and sums are far smaller; more is an attack on memory.
_FETCH_LIMIT = 64 << 20


class Fault(Exception):
    """Why bytes did not come; `again` when another try may help."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class _SharedContext(HTTPAdapter):
    """Connections that share one TLS context: loading the CA bundle costs more CPU than a small wheel does."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        self._context = context
        super().__init__(**options)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        if host["scheme"] == "https":
            pool.pop("ca_certs", None)
            pool.pop("ca_cert_dir", None)
            pool["ssl_context"] = self._context
        return host, pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave the CA bundle alone: the context holds it and always verifies."""


class Client:
    """Connections that are kept alive and shared by `threads` threads.

    Honours what requests honours (proxies, netrc), the site's `ca_bundle`, and uv's UV_HTTP_TIMEOUT (seconds without a
    byte, 30) and UV_HTTP_RETRIES (3). `credentials` are user and password by host; requests keeps them from the hosts
    that a server redirects to.
    """

    def __init__(self, threads: int = 1, credentials: Mapping[str, tuple[str, str]] | None = None) -> None:
        self._credentials = credentials or {}
        self.retries = int(os.environ.get("UV_HTTP_RETRIES") or 3)
        self._timeout = float(os.environ.get("UV_HTTP_TIMEOUT") or 30)
        bundle = ca_bundle() or certifi.where()
        try:
            folder = Path(bundle).is_dir()
            context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
        except OSError as fault:  # ssl.SSLError is one
            raise BadCertificates(bundle, fault) from fault
        retry = Retry(
            total=self.retries,
            backoff_factor=_BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
        )
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.mount("https://", _SharedContext(context, pool_maxsize=threads, max_retries=retry))
        self._session.mount("http://", HTTPAdapter(pool_maxsize=threads, max_retries=retry))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def read(self, url: str) -> bytes:
        """Return the bytes of a small file at `url`; raise `Fault`."""
        data = b""
        for chunk in self.chunks(url):
            data += chunk
            if len(data) > _FETCH_LIMIT:
                raise Fault(f"is longer than {_FETCH_LIMIT} bytes")
        return data

    def chunks(self, url: str, resume: Resume | None = None) -> Generator[bytes, None, None]:
        """Yield the bytes at a http, https or file URL as they come; raise `Fault`.

        With `resume`, whose `start` bytes are there already, yield the rest if the server still has the same file, else
        set `start` to 0 and yield all of it. `resume` learns how to recognize the file.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            try:
                with Path(url2pathname(parts.path)).open("rb") as source:
                    while chunk := source.read(_CHUNK):
                        yield chunk
            except OSError as fault:
                raise Fault(str(fault.strerror)) from fault
            return
        try:
            auth = None if parts.username else self._credentials.get(parts.netloc)
            headers = resume.headers() if resume else {}
            with self._session.get(url, stream=True, timeout=self._timeout, auth=auth, headers=headers) as response:
                if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
                    raise Fault(f"the server says {response.status_code} {response.reason}")
                if resume:
                    resume.learn(response)
                while chunk := response.raw.read(_CHUNK, decode_content=False):
                    yield chunk
        except requests.Timeout as fault:
            raise Fault(f"no answer within {self._timeout:g} s") from fault
        except requests.RequestException as fault:
            raise Fault(_plain(fault)) from fault
        except (HTTPError, OSError) as fault:  # the body broke off or stalled
            raise Fault(_plain(fault), again=True) from fault


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
        """Take note of what the server sends; raise `Fault` for a part that was not asked for."""
        if response.status_code == requests.codes.partial_content:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {self.start}-") or not self.start:
                self.start, self.validator = 0, ""
                raise Fault("the server sends another part than it was asked for", again=True)
            return
        self.start = 0
        etag = response.headers.get("ETag", "")
        # A weak one vouches for the meaning and not for the bytes.
        self.validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def fetch(url: str, credentials: Mapping[str, tuple[str, str]] | None = None) -> bytes:
    """Return the bytes of a small file at `url`; raise `DownloadsFailed`. `credentials` are as for `Client`."""
    client = Client(credentials=credentials)
    try:
        return client.read(url)
    except Fault as fault:
        raise DownloadsFailed([(url.rpartition("/")[2], url, str(fault))]) from fault
    finally:
        client.close()


def _plain(fault: BaseException) -> str:
    """Return the innermost words of `fault`: requests wraps urllib3, which wraps the socket."""
    while True:
        inner = next((part for part in fault.args if isinstance(part, BaseException)), None) or getattr(
            fault, "reason", None
        )
        if not isinstance(inner, BaseException):
            return f"{type(fault).__name__}: {fault}" if not isinstance(fault, OSError) else str(fault)
        fault = inner
