"""Files to and from HPS, through the worker program that the client fetches from the server and starts."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash
from ansys.hps.data_transfer.client.exceptions import TimeoutError as ClientTimeoutError
from ansys.hps.data_transfer.client.models import Operation, OperationState, SrcDst, StoragePath

from bundler.errors import BundlerError
from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.guard import silence
from bundler.hps.redaction import plain
from bundler.hps.worker import start_worker, stop_worker
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansys.hps.client import Client

_WORKERS = Path(".ansys", "hps", "data-transfer", "binaries", "worker")


def start(client: Client) -> None:
    """Start the worker if it does not run, with the token of now; raise `HpsError`."""
    home = os.environ.get("HOME", "")
    if os.name != "nt" and any(character.isspace() for character in home):
        raise HpsError(
            home,
            "has a space in it, and the client of HPS cannot start its transfer worker from there",
            "set HOME to another folder for this command",
        )
    # A second attempt, since a worker on a busy machine may be late for the first.
    fault = _attempt(client) and _attempt(client)
    if fault is not None:
        cause = fault.__cause__ or fault
        raise HpsError(
            client.url,
            f"the transfer worker does not start ({type(cause).__name__}: {plain(cause)[:200]})",
            f"if a download of it broke off once, remove {Path.home() / _WORKERS} and try again.",
        ) from fault
    with explained(client.url):
        # What the client refreshes before a token ends does not reach the worker.
        client.data_transfer_client.binary_config.update(token=client.access_token)


def _attempt(client: Client) -> Exception | None:
    try:
        start_worker(client)
    except BundlerError:
        stop_worker(client)
        raise
    except Exception as fault:  # noqa: BLE001 - whatever it is, there is no worker
        stop_worker(client)
        return fault
    return None


def download(client: Client, wanted: Mapping[str, Path]) -> None:
    """Copy files of the storage, by their path there, to paths here; raise `HpsError`."""
    start(client)
    operations = [
        SrcDst(src=StoragePath(path=source), dst=StoragePath(path=str(target), remote="local"))
        for source, target in wanted.items()
    ]
    with explained(client.url):
        identity = client.data_transfer_api.copy(operations).id
    _wait(client, identity, f"download of {len(operations)} files")


def upload(client: Client, wanted: Mapping[str, Path]) -> dict[str, tuple[str, int]]:
    """Copy files to paths in the storage; return checksum and size by path of what arrived. Raises `HpsError`."""
    start(client)
    operations = [
        SrcDst(src=StoragePath(path=str(source), remote="local"), dst=StoragePath(path=target))
        for target, source in wanted.items()
    ]
    with explained(client.url):
        identity = client.data_transfer_api.copy(operations).id
    _wait(client, identity, f"upload of {len(operations)} files")
    with explained(client.url):
        identity = client.data_transfer_api.get_metadata(list(wanted)).id
    result = _wait(client, identity, "look at what was uploaded")
    with explained(client.url):
        return {path: (str(result[path]["checksum"]), int(result[path]["size"])) for path in wanted}


def _wait(client: Client, identity: str, what: str) -> Any:
    """Return the result of an operation; raise `HpsError` if it fails, or stands still for too long."""
    seen: object = None
    since = time.monotonic()

    def look(operations: list[Operation]) -> None:
        nonlocal seen, since
        now = [(each.state, each.progress, each.progress_current) for each in operations]
        if now != seen:
            seen, since = now, time.monotonic()

    while True:
        done: list[Operation] = []
        with explained(client.url), contextlib.suppress(TimeoutError, ClientTimeoutError):
            done = client.data_transfer_api.wait_for([identity], timeout=1.0, raise_on_error=True, handler=look)
        if done:
            break
        if time.monotonic() - since > silence():
            raise HpsError(client.url, f"the {what} stands still for {silence():g} s", "try again")
    if done[0].state != OperationState.Succeeded:
        said = "; ".join(done[0].messages or []) or "it says no more"
        raise HpsError(client.url, f"the {what} failed ({said})", "try again")
    return done[0].result


def checksum(path: Path) -> str:
    """Return the checksum of a file as HPS makes it: XXH64 with seed 0, in hex."""
    digest = xxhash.xxh64()
    with files.explained(path), path.open("rb") as source:
        while chunk := source.read(files.CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
