"""Stands in for the monitor of HPS: streams the lines that tasks print, through WebSockets (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT = 0x81
_SHORT, _MEDIUM, _LONG = 125, 126, 127


@dataclass
class Monitor:
    """The messages about tasks, with whoever waits for more."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, task: str, path: str, line: str, moment: str) -> None:
        """Publish a line that `task` wrote to the file `path`."""
        tags = {"task_id": task, "file_path": path, "client_type": "ansys.rep.evaluator.file_tail"}
        with self.changed:
            self.messages.append({"message": line, "time": moment, "tags": tags})
            self.changed.notify_all()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer the request of `handler` for a WebSocket: read one subscription, and send what it asks for."""
        key = handler.headers["Sec-WebSocket-Key"] + _GUID
        accepted = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - of the protocol
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        handler.send_header("Sec-WebSocket-Accept", accepted)
        handler.end_headers()
        handler.close_connection = True
        command = json.loads(_read_frame(handler.rfile))
        (topic,) = command["topics"]
        start = None
        # A client sends nothing more but that it closes.
        while not select.select([handler.connection], [], [], 0)[0]:
            with self.changed:
                found = [one for one in self.messages if topic.items() <= one["tags"].items()]
                if start is None:
                    start = max(0, len(found) - command["backlog"]["limit"])
                fresh = found[start:]
                if not fresh:
                    self.changed.wait(0.2)
            for message in fresh:
                handler.wfile.write(_frame(json.dumps(message).encode()))
            start += len(fresh)


def _frame(data: bytes) -> bytes:
    """Return a text frame, which a server does not mask."""
    if len(data) <= _SHORT:
        return bytes([_TEXT, len(data)]) + data
    return bytes([_TEXT, _MEDIUM]) + struct.pack(">H", len(data)) + data


def _read_frame(stream: BufferedIOBase) -> bytes:
    """Return the contents of a frame of a client, which are masked."""
    _, length = stream.read(2)
    length &= 0x7F
    if length == _MEDIUM:
        (length,) = struct.unpack(">H", stream.read(2))
    assert length != _LONG
    mask = stream.read(4)
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(stream.read(length)))
