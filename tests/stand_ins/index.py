"""A package index on loopback, real HTTP, with faults that can be switched on per file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import ssl
import struct
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from packaging.utils import parse_sdist_filename, parse_wheel_filename

# What a fault does with a request: (handler, file bytes, how often this path was asked for before).
Fault = Callable[["Handler", bytes, int], None]


class Index:
    """The files of an index, the faults of some of them, and how often each path was asked for.

    `links` are the places to which its pages lead in the place of its own. It has JSON pages if there are `facts` about
    a file.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.links: dict[str, str] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.statuses: dict[str, str] = {}
        self.requests: Counter[str] = Counter()
        self.password = ""
        self.resumed: list[int] = []
        self.times: list[float] = []
        self.url = ""

    def add(self, named: tuple[str, bytes]) -> str:
        """Add a file by name and bytes; return the name."""
        filename, data = named
        self.files[filename] = data
        return filename

    def json_page(self, project: str) -> bytes:
        """Return the JSON page of a project, with the facts that were given for its files."""
        listed = [
            {
                "filename": filename,
                "url": f"{self.url}/files/{filename}",
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
                "core-metadata": True,
                **self.facts.get(filename, {}),
            }
            for filename, data in self.files.items()
            if filename.endswith(".whl") and parse_wheel_filename(filename)[0] == project
        ]
        status = (
            {"project-status": {"status": self.statuses[project]}}
            if project in self.statuses
            else {}
        )
        return json.dumps(
            {"meta": {"api-version": "1.4"}, "name": project, "files": listed, **status}
        ).encode()

    def page(self, project: str) -> bytes | None:
        links = []
        for filename, data in self.files.items():
            name = (parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename)(
                filename
            )[0]
            if name == project:
                digest = hashlib.sha256(data).hexdigest()
                core = ' data-core-metadata="true"' if filename.endswith(".whl") else ""
                core += _requires_python(filename, data)
                link = self.links.get(filename, f"{self.url}/files/{filename}")
                links.append(f'<a href="{link}#sha256={digest}"{core}>{filename}</a>')
        return "<!DOCTYPE html>\n{}".format("<br>\n".join(links)).encode() if links else None


def _requires_python(filename: str, data: bytes) -> str:
    """Return the attribute of a link to a wheel that states Requires-Python (PEP 503)."""
    if not filename.endswith(".whl") or not zipfile.is_zipfile(BytesIO(data)):
        return ""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        texts = [
            archive.read(name).decode()
            for name in archive.namelist()
            if name.endswith(".dist-info/METADATA")
        ]
    stated = re.search(r"(?m)^Requires-Python: (.+)$", "".join(texts))
    return f' data-requires-python="{escape(stated[1])}"' if stated else ""


class Handler(BaseHTTPRequestHandler):
    """Serves an `Index`."""

    protocol_version = "HTTP/1.1"
    index: Index

    def do_GET(self) -> None:
        # A client that takes this for a proxy sends whole URLs.
        path = unquote(re.sub(r"^http://[^/]+", "", self.path).split("?")[0])
        before = self.index.requests[path]
        self.index.requests[path] += 1
        expected = "Basic " + base64.b64encode(f"me:{self.index.password}".encode()).decode()
        if self.index.password and self.headers["Authorization"] != expected:
            return self.send(401, b"who are you?", WWW_Authenticate="Basic")
        kind, _, rest = path.lstrip("/").partition("/")
        if kind == "simple" and self.index.facts and "json" in (self.headers["Accept"] or ""):
            return self.answer(
                self.index.json_page(rest.strip("/")), "application/vnd.pypi.simple.v1+json"
            )
        if kind == "simple":
            page = self.index.page(rest.strip("/"))
            return self.answer(page, "text/html") if page else self.send(404, b"no such project")
        filename = rest.removesuffix(".metadata")
        data = self.index.files.get(filename)
        if data is None:
            return self.send(404, b"no such file")
        if rest.endswith(".metadata"):
            with zipfile.ZipFile(BytesIO(data)) as archive:
                name = next(
                    name for name in archive.namelist() if name.endswith(".dist-info/METADATA")
                )
                return self.answer(archive.read(name), "text/plain")
        fault = self.index.faults.get(filename)
        return fault(self, data, before) if fault else self.answer(data, "application/octet-stream")

    def answer_range(self, data: bytes, etag: str) -> None:
        """Send what is left of a file to a client that has begun with just this one, else all of it."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if asked and self.headers["If-Range"] == etag:
            start = int(asked[1])
            self.index.resumed.append(start)
            rest = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}", "ETag": etag}
            return self.send(206, data[start:], **rest)
        return self.send(200, data, ETag=etag)

    def answer(self, data: bytes, content_type: str) -> None:
        self.send(200, data, **{"Content-Type": content_type})

    def send(self, status: int, data: bytes, **headers: str) -> None:
        """Send a whole answer; a header given as Content_Length overrides the true one."""
        self.send_response(status)
        named = {
            "Content-Length": str(len(data)),
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        for name, text in named.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Be quiet: the tests look at `Index.requests`."""


def missing(handler: Handler, _: bytes, __: int) -> None:
    handler.send(404, b"gone")


def truncated(handler: Handler, data: bytes, _: int) -> None:
    handler.send(200, data[: len(data) // 2], Content_Length=str(len(data)))
    handler.close_connection = True


def short(handler: Handler, data: bytes, _: int) -> None:
    """Half of the file, with a Content-Length that hides it."""
    handler.send(200, data[: len(data) // 2])


def corrupt(handler: Handler, data: bytes, _: int) -> None:
    handler.send(200, data[:-1] + bytes([data[-1] ^ 1]))


def longer(handler: Handler, data: bytes, _: int) -> None:
    handler.send(200, data + b"more")


def always_503(handler: Handler, _: bytes, __: int) -> None:
    handler.send(503, b"busy")


def twice_503(handler: Handler, data: bytes, before: int) -> None:
    handler.send(503, b"busy") if before < 2 else handler.answer(data, "application/octet-stream")


def truncated_once(handler: Handler, data: bytes, before: int) -> None:
    truncated(handler, data, before) if before < 1 else handler.answer(
        data, "application/octet-stream"
    )


def _half(handler: Handler, data: bytes, etag: str) -> None:
    handler.send(200, data[: len(data) // 2], Content_Length=str(len(data)), ETag=etag)
    handler.close_connection = True


def resumable(handler: Handler, data: bytes, before: int) -> None:
    """Breaks off in the middle once, and then sends the rest."""
    _half(handler, data, '"same"') if before < 1 else handler.answer_range(data, '"same"')


def exchanged(handler: Handler, data: bytes, before: int) -> None:
    """Breaks off in the middle of another file, which is this one from then on."""
    _half(handler, bytes(len(data)), '"other"') if before < 1 else handler.answer_range(
        data, '"same"'
    )


def lying(handler: Handler, data: bytes, before: int) -> None:
    """Breaks off, and then sends another part than it was asked for, once."""
    if before < 1:
        _half(handler, data, '"same"')
    elif before < 2:
        handler.send(206, data[:100], Content_Range=f"bytes 0-99/{len(data)}", ETag='"same"')
    else:
        handler.answer_range(data, '"same"')


def busy_for_a_second(handler: Handler, data: bytes, before: int) -> None:
    """Says when to come back, and means it."""
    handler.index.times.append(time.monotonic())
    handler.send(429, b"busy", Retry_After="1") if before < 1 else handler.answer(
        data, "application/octet-stream"
    )


def reset(handler: Handler, data: bytes, before: int) -> None:
    """Hangs up without a word, twice."""
    if before < 2:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
    else:
        handler.answer(data, "application/octet-stream")


def html(handler: Handler, _: bytes, __: int) -> None:
    """What a portal that wants a login sends in the place of anything."""
    handler.send(200, b"<html>Please log in</html>", Content_Type="text/html")


def stalled(handler: Handler, data: bytes, _: int) -> None:
    """A first half, then silence, longer than the tests' timeout."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    time.sleep(3)
    handler.close_connection = True


def redirect_loop(handler: Handler, _: bytes, __: int) -> None:
    handler.send(302, b"", Location=handler.path)


def endless(handler: Handler, data: bytes, _: int) -> None:
    """Chunks without end, as far as the client listens."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(10_000):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    handler.close_connection = True


def trickle(handler: Handler, data: bytes, _: int) -> None:
    """A byte now and then, often enough that no read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for byte in data[:100]:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.1)
    handler.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


@contextlib.contextmanager
def serving(index: Index, tls: ssl.SSLContext | None = None) -> Iterator[Index]:
    """Serve `index` on a free port of loopback, with `tls` by https."""
    server = _Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"index": index}))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    index.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
