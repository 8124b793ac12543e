"""Files to and from HPS, through the worker program that the client fetches from the server and starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash
from ansys.hps.data_transfer.client.models import OperationState, SrcDst, StoragePath

from bundler.hps.connection import explained
from bundler.hps.errors import HpsFault
from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansys.hps.client import Client

_WORKERS = Path(".ansys", "hps", "data-transfer", "binaries", "worker")


def start(client: Client) -> None:
    """Start the worker if it does not run, with the token of now; raise `HpsFault`."""
    home = os.environ.get("HOME", "")
    if os.name != "nt" and any(character.isspace() for character in home):
        raise HpsFault(
            home,
            "has a space in it, and the client of HPS cannot start its transfer worker from there",
            "Set HOME to another folder for this command.",
        )
    with explained(client.url):
        try:
            client.initialize_data_transfer_client()
        except Exception as fault:
            # A half-made client would make the next attempt fail in another way.
            client._dt_client = None  # noqa: SLF001 - it has no way to start again
            cause = fault.__cause__ or fault
            raise HpsFault(
                client.url,
                f"the transfer worker does not start ({type(cause).__name__}: {' '.join(str(cause).split())[:200]})",
                f"If a download of it broke off once, remove {Path.home() / _WORKERS} and try again.",
            ) from fault
        # What the client refreshes before a token ends does not reach the worker.
        client.data_transfer_client.binary_config.update(token=client.access_token)


def download(client: Client, wanted: Mapping[str, Path]) -> None:
    """Copy files of the storage, by their path there, to paths here; raise `HpsFault`."""
    start(client)
    operations = [
        SrcDst(src=StoragePath(path=source), dst=StoragePath(path=str(target), remote="local"))
        for source, target in wanted.items()
    ]
    _perform(client, operations, "download")


def upload(client: Client, source: Path, target: str) -> None:
    """Copy the file `source` to the path `target` in the storage; raise `HpsFault`."""
    start(client)
    operation = SrcDst(src=StoragePath(path=str(source), remote="local"), dst=StoragePath(path=target))
    _perform(client, [operation], "upload")


def _perform(client: Client, operations: list[SrcDst], verb: str) -> None:
    with explained(client.url):
        identity = client.data_transfer_api.copy(operations).id
        done = client.data_transfer_api.wait_for([identity], raise_on_error=True)
    if not done or done[0].state != OperationState.Succeeded:
        said = "; ".join(done[0].messages or []) if done else ""
        raise HpsFault(
            client.url, f"the {verb} of {len(operations)} files failed ({said or 'it says no more'})", "Try again."
        )


def checksum(path: Path) -> str:
    """Return the checksum of a file as HPS makes it: XXH64 with seed 0, in hex."""
    digest = xxhash.xxh64()
    with files.explained(path), path.open("rb") as source:
        while chunk := source.read(files.CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
