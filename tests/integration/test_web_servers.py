"""The index over HTTP, with the configurations of the guide, and with pip, uv and pip-tools as the judges."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bundler.cli.guide import read_guide
from tests.conftest import Workplace, started

JSON = "application/vnd.pypi.simple.v1+json"
SERVERS = {
    "python": sys.executable,
    "nginx": shutil.which("nginx"),
    "apache": shutil.which("apache2"),
}


def snippet(language: str) -> str:
    """Return the configuration in the guide."""
    return re.findall(rf"```{language}\n(.*?)```", read_guide("maintenance"), re.DOTALL)[0]  # type: ignore[no-any-return]


def configured(name: str, folder: Path, share: Path, port: int) -> list[str | Path]:
    """Write the configuration of a web server to `folder`; return its command."""
    if name == "python":
        return [
            sys.executable,
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "--directory",
            share,
            str(port),
        ]
    folder.mkdir()
    if name == "nginx":
        text = (
            snippet("nginx")
            .replace("8080", f"127.0.0.1:{port}")
            .replace("/shared/store", str(share))
        )
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary}\ntypes {{ text/html html; }}\n{text} }}\n"
        )
        return ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
    modules = Path("/usr/lib/apache2/modules")
    loaded = "".join(
        f"LoadModule {module}_module {modules}/mod_{module}.so\n"
        for module in ("mpm_event", "authz_core", "dir", "mime", "rewrite", "headers")
    )
    text = snippet("apache").replace("/shared/store", str(share))
    (folder / "mime.types").write_text("text/html html\n")
    (folder / "apache.conf").write_text(
        f"{loaded}ServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\nErrorLog /dev/stderr\n"
        f"DirectoryIndex index.html\nTypesConfig {folder}/mime.types\n{text}"
        f"<Directory {share}>\nRequire all granted\n</Directory>\n"
    )
    return ["apache2", "-X", "-f", folder / "apache.conf"]


@contextmanager
def serving(name: str, folder: Path, share: Path) -> Iterator[str]:
    """Serve `share` with the web server `name`; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with started(configured(name, folder, share, port)) as server:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, server.communicate()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=SERVERS)
def served(
    request: pytest.FixtureRequest, tmp_path: Path, share: Path
) -> Iterator[tuple[str, str]]:
    if SERVERS[request.param] is None:
        pytest.skip(f"{request.param} is not installed")
    (share / "store.json").stat()
    with serving(request.param, tmp_path / "server", share) as url:
        yield request.param, url


def fetched(url: str, accept: str) -> tuple[str, bytes]:
    with urlopen(Request(url, headers={"Accept": accept}), timeout=10) as answer:  # noqa: S310 - loopback
        return answer.headers.get_content_type(), answer.read()


def test_html_is_for_browsers_and_json_for_clients_that_ask_for_it(
    served: tuple[str, str], share: Path
) -> None:
    name, url = served
    for page in ("", "alpha/"):
        kind, data = fetched(f"{url}/simple/{page}", "text/html")
        assert (kind, data) == ("text/html", (share / "simple" / page / "index.html").read_bytes())
        kind, data = fetched(f"{url}/simple/{page}", f"{JSON}, text/html;q=0.1")
        if name == "python":
            assert kind == "text/html"
        else:
            assert (kind, data) == (JSON, (share / "simple" / page / "index.json").read_bytes())
            assert json.loads(data)["meta"]["api-version"] == "1.4"


def test_pip_uv_and_pip_tools_use_it(served: tuple[str, str], site: Workplace) -> None:
    _, url = served
    index = f"{url}/simple"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    uv = [
        "uv",
        "pip",
        "install",
        "-q",
        "--python",
        sys.executable,
        "--default-index",
        index,
        "--target",
        "uv",
    ]
    (site.folder / "in.txt").write_text("alpha\nbeta\n")
    compiled = [
        "pip-compile",
        "-q",
        "--no-config",
        "--generate-hashes",
        "--index-url",
        index,
        "in.txt",
        "-o",
        "out.txt",
    ]
    for command in (
        [*pip, "--index-url", index, "--target", "pip", "alpha"],
        [*uv, "alpha"],
        compiled,
    ):
        done = site.run(*command)
        assert done.returncode == 0, done.stderr
    for folder in ("pip", "uv"):
        assert (site.folder / folder / "alpha-2.0.dist-info").is_dir()
    lock = (site.folder / "out.txt").read_text()
    assert "alpha==2.0" in lock
    assert "--hash=sha256:" in lock


@pytest.mark.skipif(SERVERS["nginx"] is None, reason="nginx is not installed")
def test_nginx_hides_what_is_half_made(tmp_path: Path, share: Path) -> None:
    (share / ".partial" / "x").write_text("half")
    with serving("nginx", tmp_path / "server", share) as url, pytest.raises(HTTPError, match="404"):
        fetched(f"{url}/.partial/x", "*/*")


def test_bundle_uses_a_store_as_its_index(site: Workplace, share: Path, tmp_path: Path) -> None:
    site.script("again.py", "alpha", "beta")
    with serving("python", tmp_path / "server", share) as url:
        bundle = site.bundle("again.py", UV_DEFAULT_INDEX=f"{url}/simple")
    wheels = {path.name for path in (bundle / "wheels").iterdir()}
    assert wheels == {"alpha-2.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=bundle, check=True)
