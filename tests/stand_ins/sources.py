"""Real source trees with a build backend of their own, so that building them needs nothing from any index; real git."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
dependencies = {requires}
"""
_BACKEND = """
import hashlib, base64, pathlib, subprocess, sysconfig, sys, zipfile

NAME, VERSION, REQUIRES, COMPILED = {name!r}, {version!r}, {requires!r}, {compiled!r}

def _metadata():
    return "Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (NAME, VERSION) + "".join(
        "Requires-Dist: %s\\n" % each for each in REQUIRES)

def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "%s-%s.dist-info" % (NAME, VERSION))
    info.mkdir()
    (info / "METADATA").write_text(_metadata())
    return info.name

def build_sdist(folder, settings=None):
    raise NotImplementedError

def build_wheel(folder, settings=None, metadata=None):
    tag = "py3-none-any"
    files = {{NAME + ".py": b"version = %r\\n" % VERSION}}
    if COMPILED:
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        out = pathlib.Path(folder, NAME + suffix)
        include = sysconfig.get_paths()["include"]
        subprocess.run(["cc", "-shared", "-fPIC", "-I", include, NAME + ".c", "-o", str(out)], check=True)
        files = {{out.name: out.read_bytes()}}
        out.unlink()
        short = "cp%d%d" % sys.version_info[:2]
        abi = short + "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        tag = "%s-%s-%s" % (short, abi, sysconfig.get_platform().replace("-", "_").replace(".", "_"))
    info = "%s-%s.dist-info/" % (NAME, VERSION)
    files[info + "METADATA"] = _metadata().encode()
    files[info + "WHEEL"] = ("Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: false\\nTag: %s\\n" % tag).encode()
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\\n" % (path, digest, len(data))
    files[info + "RECORD"] = (record + info + "RECORD,,\\n").encode()
    name = "%s-%s-%s.whl" % (NAME, VERSION, tag)
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return name
"""
_MODULE = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) {{ return PyLong_FromLong(42); }}
static PyMethodDef methods[] = {{{{"answer", answer, METH_NOARGS, ""}}, {{NULL, NULL, 0, NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", "", -1, methods}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&module); }}
"""


def source_files(
    name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), compiled: bool = False
) -> dict[str, str]:
    """Return the files of a source tree."""
    values = {"name": name, "version": version, "requires": list(requires), "compiled": compiled}
    files = {"pyproject.toml": _PYPROJECT.format(**values), "backend.py": _BACKEND.format(**values)}
    return {**files, f"{name}.c": _MODULE.format(name=name)} if compiled else files


def write_source(folder: Path, name: str, version: str = "1.0", *, compiled: bool = False) -> Path:
    """Write a source tree into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in source_files(name, version, compiled=compiled).items():
        (folder / path).write_text(text)
    return folder


def source_sdist(
    name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), compiled: bool = False
) -> tuple[str, bytes]:
    """Return file name and bytes of an sdist that can be built."""
    top = f"{name}-{version}"
    info = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
    info += "".join(f"Requires-Dist: {each}\n" for each in requires)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        files = {
            "PKG-INFO": info,
            **source_files(name, version, requires=requires, compiled=compiled),
        }
        for path, text in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{top}.tar.gz", out.getvalue()


class GitHandler(BaseHTTPRequestHandler):
    """Serves the repositories below `root` by git's own HTTP program, to the user "me" with `password`."""

    root: Path
    password: str

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"me:{self.password}".encode()).decode()
        if self.headers["Authorization"] != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            "REMOTE_USER": "me",
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
        )
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815 - the name that the base class wants

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextlib.contextmanager
def serving_git(root: Path, password: str) -> Iterator[str]:
    """Serve the repositories below `root`; yield the host, with its port."""
    handler = type("Handler", (GitHandler,), {"root": root, "password": password})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
