"""Stands in for the data transfer worker, the program that the HPS client fetches from the server and starts.

Towards the client it speaks the REST interface of the real one; how the real one talks to the data transfer service is
its own affair, so this one uses plain GET and PUT below `storage/`. Standard library only: the client gives a worker
3.5 seconds to answer.
"""

import argparse
import datetime
import http.server
import json
import os
import ssl
import threading
import urllib.parse
import urllib.request
import uuid


def main():
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    for option in ("--log-types", "--host", "--dt-url", "--auth-type", "-t"):
        parser.add_argument(option)
    parser.add_argument("--port", type=int)
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--debug", action="store_true")
    settings = parser.parse_args()
    server = http.server.ThreadingHTTPServer((settings.host, settings.port), Handler)
    server.daemon_threads = True
    server.settings = settings
    server.token = settings.t
    server.operations = {}
    server.serve_forever(poll_interval=0.05)


class Handler(http.server.BaseHTTPRequestHandler):
    """The REST interface of the worker."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Tell the state of the worker or of operations."""
        parts = urllib.parse.urlsplit(self.path)
        if self.headers["Authorization"]:
            self.server.token = self.headers["Authorization"]
        if parts.path.rstrip("/") == "/api/v1":
            return self.answer(
                {"ready": True, "build_info": {}, "debug": {"panic_file": ""}, "features": {}}
            )
        ids = urllib.parse.parse_qs(parts.query).get("ids", [])
        return self.answer({"operations": [self.server.operations[each] for each in ids]})

    def do_POST(self):
        """Start an operation."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        if self.path.endswith("/shutdown"):
            self.answer({})
            os._exit(0)
        work = {"storage:copy": self.copy, "metadata:get": self.metadata}.get(
            self.path.rpartition("/")[2]
        )
        if work is None:
            return self.answer({})
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        operation = {
            "id": uuid.uuid4().hex,
            "state": "queued",
            "progress": 0.0,
            "queued_at": now,
            "messages": [],
        }
        self.server.operations[operation["id"]] = operation
        threading.Thread(target=self.perform, args=(work, body, operation), daemon=True).start()
        return self.answer({"id": operation["id"]})

    def perform(self, work, body, operation):
        """Do the work of an operation and note how it ended."""
        try:
            operation.update(result=work(body))
            operation.update(state="succeeded", progress=1.0)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the operation failed
            operation.update(state="failed", messages=[str(fault)])

    def copy(self, body):
        """Copy files between this machine and the storage."""
        for each in body["operations"]:
            source, target = each["src"], each["dst"]
            if source.get("remote") == "local":
                with open(source["path"], "rb") as data:
                    content = data.read()
            else:
                content = self.remote("GET", source["path"])
            if target.get("remote") == "local":
                os.makedirs(os.path.dirname(target["path"]), exist_ok=True)
                with open(target["path"], "wb") as out:
                    out.write(content)
            else:
                self.remote("PUT", target["path"], content)

    def metadata(self, body):
        """Return checksum and size of files in the storage."""
        return {path: json.loads(self.remote("GET", path, metadata=True)) for path in body["paths"]}

    def remote(self, method, path, content=None, metadata=False):
        """Talk to the data transfer service."""
        folder = "metadata" if metadata else "storage"
        url = f"{self.server.settings.dt_url}/{folder}/{urllib.parse.quote(path)}"
        request = urllib.request.Request(url, data=content, method=method)
        request.add_header("Authorization", self.server.token)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with urllib.request.urlopen(
            request, context=context if url.startswith("https") else None
        ) as response:
            return response.read()

    def answer(self, tables):
        """Send JSON."""
        data = json.dumps(tables).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Be quiet."""


if __name__ == "__main__":
    main()
