"""Transfer files with HPS through the worker program that the client downloads and starts."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash
from ansys.hps.client import Client
from ansys.hps.data_transfer.client.exceptions import TimeoutError as ClientTimeoutError
from ansys.hps.data_transfer.client.models import Operation, OperationState, SrcDst, StoragePath

from bundler.errors import BundlerError
from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.hps.session import silence
from bundler.hps.worker import start_worker, stop_worker
from bundler.units import counted
from wheelhouse import files

_WORKERS = Path(".ansys", "hps", "data-transfer", "binaries", "worker")


def start(client: Client) -> None:
    """Start the worker, unless it runs, and give it the current token. Raises `HpsError`."""
    home = os.environ.get("HOME", "")
    if os.name != "nt" and re.search(r"\s", home):
        raise HpsError(
            home,
            "contains a space, and the HPS client cannot start its transfer worker from such a path",
            "set HOME to another folder for this command",
        )
    error = _attempt(client)
    if error is not None:
        # A worker on a busy machine may start too late for the first attempt.
        error = _attempt(client)
    if error is not None:
        cause = error.__cause__ or error
        raise HpsError(
            client.url,
            f"the transfer worker does not start ({type(cause).__name__}: {plain(cause)[:200]})",
            f"if an earlier download of it was interrupted, delete {Path.home() / _WORKERS} and try again",
        ) from error
    _pass_token_on(client)


def _pass_token_on(client: Client) -> None:
    """Give the worker the current token; the client, which refreshes it in the background, does not."""
    with explained(client.url):
        settings = client.data_transfer_client.binary_config
        if settings.token != client.access_token:
            settings.update(token=client.access_token)


def _attempt(client: Client) -> Exception | None:
    try:
        start_worker(client)
    except BundlerError:
        stop_worker(client)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no worker
        stop_worker(client)
        return error
    return None


def download(client: Client, paths: Mapping[str, Path]) -> None:
    """Download files from the storage to local paths. Raises `HpsError`."""
    start(client)
    operations = []
    for source, target in paths.items():
        here = StoragePath(path=str(target), remote="local")
        there = StoragePath(path=source)
        operations.append(SrcDst(src=there, dst=here))
    _copy(client, operations, "download")


def upload(client: Client, paths: Mapping[str, Path]) -> dict[str, tuple[str, int]]:
    """Upload local files to paths in the storage; return their checksum and size by path. Raises `HpsError`."""
    start(client)
    operations = []
    for target, source in paths.items():
        here = StoragePath(path=str(source), remote="local")
        there = StoragePath(path=target)
        operations.append(SrcDst(src=here, dst=there))
    _copy(client, operations, "upload")
    with explained(client.url):
        identity = client.data_transfer_api.get_metadata(list(paths)).id
    result = _wait(client, identity, "check of the uploaded files")
    received = {}
    with explained(client.url):
        for path in paths:
            about = result[path]
            received[path] = (str(about["checksum"]), int(about["size"]))
    return received


def _copy(
    client: Client,
    operations: list[SrcDst],
    what: str,
) -> None:
    with explained(client.url):
        identity = client.data_transfer_api.copy(operations).id
    _wait(client, identity, f"{what} of {counted(len(operations), 'file')}")


def _wait(
    client: Client,
    identity: str,
    what: str,
) -> Any:
    """Return the result of an operation. Raises `HpsError` if it fails or makes no progress."""
    seen: object = None
    since = time.monotonic()

    def look(operations: list[Operation]) -> None:
        nonlocal seen, since
        now = [
            (operation.state, operation.progress, operation.progress_current)
            for operation in operations
        ]
        if now != seen:
            seen, since = now, time.monotonic()

    while True:
        _pass_token_on(client)
        done: list[Operation] = []
        with explained(client.url), contextlib.suppress(TimeoutError, ClientTimeoutError):
            done = client.data_transfer_api.wait_for(
                [identity],
                timeout=0.5,
                cap=0.5,
                raise_on_error=True,
                handler=look,
            )
        if done:
            break
        if time.monotonic() - since > silence():
            raise HpsError(
                client.url,
                f"the {what} made no progress for {silence():g} s",
                "try again",
            )
    if done[0].state != OperationState.Succeeded:
        messages = "; ".join(done[0].messages or []) or "without a message"
        raise HpsError(
            client.url,
            f"the {what} failed ({messages})",
            "try again",
        )
    return done[0].result


def checksum(path: Path) -> str:
    """Return the checksum of a file as HPS computes it: XXH64 with seed 0, in hex."""
    digest = xxhash.xxh64()
    with files.explained(path), files.open_input(path) as source:
        while chunk := source.read(files.CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
