"""Parallel downloads into a cache of files by digest, each hashed while it streams."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from wheelhouse import files
from wheelhouse.certificates import ca_bundle
from wheelhouse.errors import BadCertificates, DownloadsFailed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from wheelhouse.wheel import Wheel

# More connections than this gain nothing on a fast path and annoy small indexes.
THREADS = 8
_CHUNK = 1 << 18
_BACKOFF = 0.25
_TICK = 0.1


class _Fault(Exception):
    """Why one download failed; `again` when another try may help."""

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


class Downloads:
    """Wheels on their way into `cache`; `fetched` are those that it did not hold yet, `total` counts bytes.

    Honours what requests honours (proxies, netrc), the site's `ca_bundle`, and uv's UV_HTTP_TIMEOUT (seconds without a
    byte, 30) and UV_HTTP_RETRIES (3).
    """

    def __init__(self, wheels: Sequence[Wheel], cache: Path) -> None:
        self.wheels = wheels
        self.cache = cache
        self.total = sum(wheel.size or 0 for wheel in wheels)
        self.fetched: list[Wheel] = []
        self._received = {wheel.sha256: 0 for wheel in wheels}
        self._stop = threading.Event()
        self._timeout = float(os.environ.get("UV_HTTP_TIMEOUT") or 30)
        self._retries = int(os.environ.get("UV_HTTP_RETRIES") or 3)
        self._session = self._connect()

    def _connect(self) -> requests.Session:
        bundle = ca_bundle() or certifi.where()
        try:
            folder = Path(bundle).is_dir()
            context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
        except OSError as fault:  # ssl.SSLError is one
            raise BadCertificates(bundle, fault) from fault
        retry = Retry(
            total=self._retries,
            backoff_factor=_BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
        )
        session = requests.Session()
        session.headers["Accept-Encoding"] = "identity"
        session.mount("https://", _SharedContext(context, pool_maxsize=THREADS, max_retries=retry))
        session.mount("http://", HTTPAdapter(pool_maxsize=THREADS, max_retries=retry))
        return session

    def path(self, wheel: Wheel) -> Path:
        """Return where `wheel` lies in the cache once it has arrived."""
        return self.cache / "wheels" / wheel.sha256[:2] / wheel.sha256

    def run(self) -> Iterator[int]:
        """Bring every wheel into the cache, whole and verified; yield the bytes received so far, some times a second.

        What the cache holds already is hashed again, since bundles are links to it that somebody may have written to.
        After the first fault no new download starts. Raises `DownloadsFailed` with every fault.
        """
        # The largest first: a big one that starts last would leave the other threads idle.
        order = sorted(self.wheels, key=lambda wheel: -(wheel.size or 0))
        files.clear_abandoned(self.cache / "partial")
        pool = ThreadPoolExecutor(THREADS)
        try:
            futures = {pool.submit(self._bring, wheel): wheel for wheel in order}
            pending: set[Future[None]] = set(futures)
            while pending:
                done, pending = wait(pending, timeout=_TICK, return_when=FIRST_EXCEPTION)
                yield sum(self._received.values())
                if any(future.exception() for future in done):
                    self._stop.set()
                    pool.shutdown(cancel_futures=True)
                    break
            faults = {futures[future]: future.exception() for future in futures if not future.cancelled()}
            for fault in faults.values():
                if fault is not None and not isinstance(fault, _Fault):
                    raise fault
            named = [(wheel, fault) for wheel, fault in faults.items() if fault is not None and str(fault)]
            if named:
                raise DownloadsFailed((wheel.filename, wheel.url, str(fault)) for wheel, fault in named)
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._session.close()

    def _bring(self, wheel: Wheel) -> None:
        path = self.path(wheel)
        if path.exists() and files.sha256(path) == wheel.sha256:
            self._received[wheel.sha256] = wheel.size or 0
            return
        with files.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        partial = files.beside(self.cache / "partial" / wheel.sha256)
        try:
            for left in reversed(range(self._retries + 1)):
                try:
                    self._stream(wheel, partial)
                    break
                except _Fault as fault:
                    if not (fault.again and left) or self._stop.is_set():
                        raise
            with files.explained(path):
                partial.replace(path)
            self.fetched.append(wheel)
        finally:
            partial.unlink(missing_ok=True)

    def _stream(self, wheel: Wheel, partial: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with contextlib.closing(self._chunks(wheel.url)) as chunks, files.explained(partial), partial.open("wb") as out:
            for chunk in chunks:
                if self._stop.is_set():
                    raise _Fault("")  # another one failed; this one has nothing to say
                digest.update(chunk)
                out.write(chunk)
                size += len(chunk)
                self._received[wheel.sha256] = size
                if wheel.size is not None and size > wheel.size:
                    raise _Fault(f"is longer than the {wheel.size} bytes that the lock says")
        if wheel.size is not None and size < wheel.size:
            raise _Fault(f"ended after {size} of {wheel.size} bytes", again=True)
        if digest.hexdigest() != wheel.sha256:
            raise _Fault(f"has sha256 {digest.hexdigest()}, the lock says {wheel.sha256}")

    def _chunks(self, url: str) -> Generator[bytes, None, None]:
        parts = urlsplit(url)
        if parts.scheme == "file":
            try:
                with Path(url2pathname(parts.path)).open("rb") as source:
                    while chunk := source.read(_CHUNK):
                        yield chunk
            except OSError as fault:
                raise _Fault(str(fault.strerror)) from fault
            return
        try:
            with self._session.get(url, stream=True, timeout=self._timeout) as response:
                if response.status_code != requests.codes.ok:
                    raise _Fault(f"the server says {response.status_code} {response.reason}")
                while chunk := response.raw.read(_CHUNK, decode_content=False):
                    yield chunk
        except requests.Timeout as fault:
            raise _Fault(f"no answer within {self._timeout:g} s") from fault
        except requests.RequestException as fault:
            raise _Fault(_plain(fault)) from fault
        except (HTTPError, OSError) as fault:  # the body broke off or stalled
            raise _Fault(_plain(fault), again=True) from fault


def _plain(fault: BaseException) -> str:
    """Return the innermost words of `fault`: requests wraps urllib3, which wraps the socket."""
    while True:
        inner = next((part for part in fault.args if isinstance(part, BaseException)), None) or getattr(
            fault, "reason", None
        )
        if not isinstance(inner, BaseException):
            return f"{type(fault).__name__}: {fault}" if not isinstance(fault, OSError) else str(fault)
        fault = inner
