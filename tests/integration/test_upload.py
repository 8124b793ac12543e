"""Uploads to an existing index, with a real pypiserver."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Workplace, started
from tests.stand_ins.wheels import make_wheel

PASSWORD = "s3cret-of-the-index"  # noqa: S105 - of a server on loopback


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A pypiserver; yields its URL and its folder."""
    packages = tmp_path / "packages"
    packages.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "pypiserver",
        "run",
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "-P",
        ".",
        "-a",
        ".",
    ]
    command += ["--disable-fallback"]  # Otherwise it would lead to the public index.
    with started([*command, packages]) as process:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", packages


@pytest.fixture
def bundle(workplace: Workplace) -> Path:
    workplace.index.add(make_wheel("alpha"))
    workplace.index.add(make_wheel("beta"))
    workplace.script("solve.py", "alpha", "beta")
    workplace.environment["UV_PUBLISH_USERNAME"] = "me"
    workplace.environment["UV_PUBLISH_PASSWORD"] = PASSWORD
    return workplace.bundle("solve.py")


def test_wheels_are_uploaded_once_and_an_interrupted_upload_resumes(
    workplace: Workplace, server: tuple[str, Path], bundle: Path
) -> None:
    url, packages = server
    for _ in range(2):
        done = workplace.run("publish-index", bundle, "--upload", url)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr.endswith("The index has 2 wheels of 1 bundle\n")
    for wheel in (bundle / "wheels").iterdir():
        assert (packages / wheel.name).read_bytes() == wheel.read_bytes()
    (packages / "beta-1.0-py3-none-any.whl").unlink()  # As if the first upload had ended before it.
    assert (
        workplace.run("publish-index", bundle, "--upload", url, "--json").stdout
        == '{\n  "uploaded": 2\n}\n'
    )
    assert (packages / "beta-1.0-py3-none-any.whl").exists()


def test_another_file_of_the_same_name_is_refused(
    workplace: Workplace, server: tuple[str, Path], bundle: Path
) -> None:
    url, packages = server
    other = make_wheel("alpha", files={"alpha.py": b"other = 1\n"})[1]
    (packages / "alpha-1.0-py3-none-any.whl").write_bytes(other)
    done = workplace.run("publish-index", bundle, "--upload", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("hint: ") or "alpha-1.0" in done.stderr
    assert (packages / "alpha-1.0-py3-none-any.whl").read_bytes() == other


def test_no_secret_is_shown_when_an_upload_fails(workplace: Workplace, bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    done = workplace.run(
        "publish-index", bundle, "--upload", f"http://me:{PASSWORD}@127.0.0.1:{port}/"
    )
    assert done.returncode == 1
    assert f"error: http://127.0.0.1:{port}/: the upload failed\n" in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize("url", ["devpi", "/shared/store", "file:///shared/store"])
def test_what_is_no_url_of_an_index_is_refused(
    workplace: Workplace, bundle: Path, url: str
) -> None:
    done = workplace.run("publish-index", bundle, "--upload", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"error: {url} is not the URL of an index\nhint: use a URL such as https://host/index/\n"
    )
