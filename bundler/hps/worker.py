"""The transfer worker: the program that the HPS client downloads from the server and starts."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import psutil
from ansys.hps.client import Client
from ansys.hps.data_transfer.client import Client as DataTransferClient
from ansys.hps.data_transfer.client import DataTransferApi

from bundler.hps.errors import HpsError
from bundler.hps.guard import LARGEST, limit, require_same_origin, shown_origin, too_large, too_slow

# The version becomes part of a path below HOME and of a shell command, like the token.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
# The characters of a bearer token (RFC 6750, 2.1).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def start_worker(client: Client) -> None:
    """Download and start the worker of `client`, unless it runs. Raises `HpsError` and the errors of the client."""
    if client._dt_client is not None:  # noqa: SLF001 - the public property would start one
        return
    if not _TOKEN.fullmatch(client.access_token or ""):
        raise HpsError(client.url, "the access token contains invalid characters", "log in again")
    # The steps of the client's `initialize_data_transfer_client`, which does not accept another class.
    worker = _Worker(download_dir=client._get_download_dir())  # noqa: SLF001 - has no public name
    client._dt_client = worker  # noqa: SLF001 - lets `stop_worker` find it after an interrupt
    worker.binary_config.update(
        verbosity=3, debug=False, insecure=True, token=client.access_token, data_transfer_url=client.data_transfer_url
    )
    worker.start()
    client._dt_api = DataTransferApi(worker)  # noqa: SLF001 - where the client expects it
    client._dt_api.status(wait=True)  # noqa: SLF001


def stop_worker(client: Client) -> None:
    """Stop the transfer worker, if there is one.

    The client only does so at a regular exit, so it would leave the worker behind after an interrupt; and if the
    worker does not listen yet, the client only ends the shell that started it.
    """
    worker = client._dt_client  # noqa: SLF001 - the public property would start one
    if worker is None:
        return
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error, AttributeError):
        shell = psutil.Process(worker.binary._process.pid)  # noqa: SLF001 - there is no other way
        family = [*shell.children(recursive=True), shell]
    with contextlib.suppress(Exception):
        worker.stop(wait=1.0)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
    # A partly initialized client would make the next attempt fail in another way.
    client._dt_client = None  # noqa: SLF001 - there is no way to start again


class _Worker(DataTransferClient):  # type: ignore[misc]  # the client has no types
    """The client of the worker, with checks of names, redirects, sizes and times from the server."""

    _refusal: HpsError | None = None

    def _prepare_platform_binary(self) -> None:
        try:
            super()._prepare_platform_binary()
        except Exception:
            # The client hides why a download failed, and then misses the file.
            if self._refusal is not None:
                raise self._refusal from None
            raise

    def _prepare_bin_path(self, build_info: Mapping[str, Any]) -> str:
        version = build_info["version_hash"]
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise HpsError(
                shown_origin(self._bin_config.data_transfer_url),
                f"the version of the transfer worker is not a plain name ({str(version)[:100]!r})",
                "check the URL, or tell the administrator of HPS",
            )
        return str(super()._prepare_bin_path(build_info))

    def _create_session(self, url: str, *, sync: bool = True) -> Any:
        session = super()._create_session(url, sync=sync)
        # Without compression, the bytes on the wire have the final size.
        session.headers["Accept-Encoding"] = "identity"

        def check_origin(request: httpx.Request) -> None:
            with self._remembered():
                require_same_origin(url, str(request.url))

        hooks = session.event_hooks
        session.event_hooks = {
            "request": [*hooks["request"], check_origin],
            "response": [self._bound, *hooks["response"]],
        }
        return session

    def _bound(self, response: httpx.Response) -> None:
        """Make `response` fail if its body is too large, too slow or compressed."""
        address = str(response.request.url)
        with self._remembered():
            if response.headers.get("Content-Encoding", "identity") != "identity":
                fact = "an answer is compressed although that was not requested"
                raise HpsError(shown_origin(address), fact, "check the URL, or tell the administrator of HPS")
        response.stream = _Bounded(response.stream, address, self._remembered)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except HpsError as error:
            self._refusal = error
            raise


class _Bounded(httpx.SyncByteStream):
    """The bytes of `stream`, within limits; `remembered` receives the error if they exceed them."""

    def __init__(
        self, stream: httpx.SyncByteStream, url: str, remembered: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        self._stream = stream
        self._url = url
        self._remembered = remembered

    def __iter__(self) -> Iterator[bytes]:
        deadline = time.monotonic() + limit()
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            with self._remembered():
                if size > LARGEST:
                    raise too_large(self._url)
                if time.monotonic() > deadline:
                    raise too_slow(self._url)
            yield chunk

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
