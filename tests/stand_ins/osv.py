"""OSV records, and the service of OSV on loopback, which compares versions in its own way: with specifiers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Record = dict[str, Any]
_OPERATORS = {"introduced": ">=", "fixed": "<", "last_affected": "<="}


def record(
    identity: str,
    project: str,
    *ranges: Sequence[tuple[str, str]],
    versions: Sequence[str] = (),
    **more: Any,
) -> Record:
    """Return a record about `project`; a range is a list of (kind, version)."""
    stated = [
        {"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}
        for events in ranges
    ]
    affected = {
        "package": {"ecosystem": "PyPI", "name": project},
        "ranges": stated,
        "versions": list(versions),
    }
    return {
        "schema_version": "1.7.0",
        "id": identity,
        "modified": "2026-11-20T12:00:00Z",
        "published": "2026-01-02T03:04:05Z",
        "affected": [affected],
        **more,
    }


def matches(entry: Record, project: str, text: str) -> bool:
    """Return whether the service of OSV would return `entry` for this version."""
    if entry.get("withdrawn"):
        return False
    for affected in entry["affected"]:
        package = affected["package"]
        if package["ecosystem"] == "PyPI" and canonicalize_name(package["name"]) == project:
            listed = {
                str(version) for name in affected.get("versions", []) if (version := _version(name))
            }
            if str(Version(text).public) in listed:
                return True
            if any(
                _in(stated, text)
                for stated in affected.get("ranges", [])
                if stated["type"] != "GIT"
            ):
                return True
    return False


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _in(stated: Mapping[str, Any], text: str) -> bool:
    """Return whether a version is in one of the spans from an "introduced" to the next end."""
    spans: list[str] = []
    for event in stated["events"]:
        ((kind, version),) = event.items()
        if kind == "introduced":
            spans.append("" if version == "0" else f">={version}")
        elif kind in _OPERATORS:
            spans[-1] += f"{',' if spans[-1] else ''}{_OPERATORS[kind]}{version}"
    public = Version(text).public
    return any(_before_all(span, public) for span in spans)


def _before_all(span: str, public: str) -> bool:
    # "<2" excludes 2rc1 as a specifier; as an event it does not.
    version = Version(public)
    for specifier in SpecifierSet(span):
        bound = Version(specifier.version)
        good = {">=": version >= bound, "<": version < bound, "<=": version <= bound}[
            specifier.operator
        ]
        if not good:
            return False
    return True


class Service(ThreadingHTTPServer):
    """The service with `records`."""

    daemon_threads = True

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records = {entry["id"]: entry for entry in records}

    def of(self, query: Mapping[str, Any]) -> list[Record]:
        project = canonicalize_name(query["package"]["name"])
        return [
            entry for entry in self.records.values() if matches(entry, project, query["version"])
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/querybatch":
            results = [
                {
                    "vulns": [
                        {"id": entry["id"], "modified": entry["modified"]}
                        for entry in self.server.of(query)
                    ]
                }
                for query in body["queries"]
            ]
            self.answer({"results": results})
        else:
            found = self.server.of(body)
            self.answer({"vulns": found} if found else {})

    def do_GET(self) -> None:
        self.answer(self.server.records[self.path.rpartition("/")[2]])

    def answer(self, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(records: Sequence[Record]) -> Iterator[str]:
    """Serve `records`; yield the URL."""
    with Service(records) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{service.server_address[1]}"
        finally:
            service.shutdown()
            thread.join()
