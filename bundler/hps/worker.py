"""The transfer worker: the program that the HPS client downloads from the server and starts."""

from __future__ import annotations

import contextlib

import psutil
from ansys.hps.client import Client


def start_worker(client: Client) -> None:
    """Download and start the worker of `client`, unless it runs. Raises the errors of the client."""
    client.initialize_data_transfer_client()


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
