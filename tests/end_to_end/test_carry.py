"""The tool with its own Python, on a machine with a shell, coreutils, gzip and tar, and without network."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import PYTHON, Workplace, clean_environment
from tests.stand_ins import bare
from tests.stand_ins.hps import Hps
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import MOUNTS
from tests.stand_ins.wheels import make_wheel


def packages(*extras: str) -> set[str]:
    """Return the packages that the tool needs on the far side with `extras`."""
    names: set[str] = set()
    pending = [*(requires("hps-bundler") or [])]
    while pending:
        requirement = Requirement(pending.pop())
        marker = requirement.marker
        if (
            marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
        ) and (requirement.name not in names):
            names.add(requirement.name)
            pending += [line for line in requires(requirement.name) or [] if "extra ==" not in line]
    return names


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose index has what the tool needs."""
    place = tmp_path_factory.mktemp("maker")
    (place / "home").mkdir()
    with serving(Index()) as index:
        for name in packages("zstd", "hps"):
            index.add(bare.wheel_of(name))
        environment = clean_environment(place / "home", {"UV_DEFAULT_INDEX": f"{index.url}/simple"})
        yield Workplace(folder=place, index=index, environment=environment)


@pytest.fixture(scope="session")
def tool(maker: Workplace, mirror: Path) -> Path:
    done = maker.run(
        "bundler", "carry", "--python", PYTHON, "--python-mirror", mirror, "-o", "tool.sh"
    )
    assert (done.returncode, done.stdout) == (0, "tool.sh\n"), done.stderr
    return maker.folder / "tool.sh"


def test_with_hps_jobs_are_submitted_without_anything_else(
    maker: Workplace, mirror: Path, site: Workplace, hps: Hps, publication: Path, tmp_path: Path
) -> None:
    options: list[str | Path] = [
        "--with-hps",
        "--python",
        PYTHON,
        "--python-mirror",
        mirror,
        "-o",
        "hps.sh",
    ]
    done = maker.run("bundler", "carry", *options)
    assert done.returncode == 0, done.stderr
    subprocess.run(
        ["sh", maker.folder / "hps.sh", tmp_path / "tool"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    done = site.run(str(tmp_path / "tool" / "bin" / "submit-jobs"), publication)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in hps.projects


def test_a_package_of_the_same_name_in_an_index_is_not_carried(
    workplace: Workplace, mirror: Path
) -> None:
    name, data = make_wheel(
        "hps-bundler", version("hps-bundler"), files={"bundler/__init__.py": b"hostile"}
    )
    workplace.index.add(
        (name.replace("-py3", "-9-py3"), data)
    )  # A build number, which is preferred.
    done = workplace.run(
        "bundler", "carry", "--python", PYTHON, "--python-mirror", mirror, "-o", "tool.sh"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "an index provides another hps-bundler" in done.stderr
    assert not (workplace.folder / "tool.sh").exists()


@pytest.fixture
def installed(tool: Path, tmp_path: Path) -> Path:
    done = subprocess.run(
        ["sh", tool, tmp_path / "tool"], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/tool/bin\n"), done.stderr
    assert f"To remove it: rm -rf '{tmp_path}/tool'" in done.stderr
    return tmp_path / "tool"


@pytest.mark.skipif(
    not bare.POSSIBLE, reason="this system does not let users change the root folder"
)
def test_from_a_medium_to_a_finished_job_on_a_machine_without_python_and_network(
    tool: Path, workplace: Workplace, mirror: Path, tmp_path: Path
) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script(
        "solve.py", "alpha", body="import alpha\nopen('out.txt', 'w').write(alpha.version)\n"
    )
    medium = tmp_path / "root" / "medium"
    bare.make_root(tmp_path / "root", Path(sys.base_prefix))
    medium.mkdir()
    workplace.bundle("solve.py", "--include-python", "--python-mirror", mirror)
    archive = medium / "solve.tar"
    done = workplace.run(
        "bundler", "pack", "solve.bundle", "-o", archive, "--split", "5 MB", "--with-tool", tool
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in medium.iterdir())
    assert {"solve.tar.001", "solve.tar.002", "solve.tar.parts", "tool.sh"} <= set(names)
    done = bare.run(tmp_path / "root", "cd /medium; sh tool.sh --verify; sh tool.sh /opt/bundler")
    assert (done.returncode, done.stdout) == (0, "tool.sh: verified\n/opt/bundler/bin\n"), (
        done.stderr
    )
    command = "/opt/bundler/bin/publish-index /store /medium/solve.tar.002 --strategy environment"
    done = bare.run(tmp_path / "root", command)
    assert done.returncode == 0, done.stderr
    (publication,) = done.stdout.split()
    done = bare.run(tmp_path / "root", f"/opt/bundler/bin/bundler rehearse {publication} -o /task")
    assert (done.returncode, done.stdout) == (0, "/task/out.txt\n"), done.stderr
    assert (tmp_path / "root" / "task" / "out.txt").read_text() == "1.0"
    assert list((tmp_path / "root" / "tmp").iterdir()) == []
    (medium / "solve.tar.001").write_bytes(b"x")
    done = bare.run(tmp_path / "root", "/opt/bundler/bin/bundler verify /medium/solve.tar.002")
    assert done.returncode == 1
    assert "error: /medium/solve.tar.001: is damaged, or a part of another archive" in done.stderr


def test_the_same_versions_give_the_same_bytes_and_their_digest_is_printed(
    maker: Workplace, tool: Path, mirror: Path
) -> None:
    done = maker.run(
        "bundler",
        "carry",
        "--python",
        PYTHON,
        "--python-mirror",
        mirror,
        "-o",
        "again.sh",
        "--json",
    )
    assert (maker.folder / "again.sh").read_bytes() == tool.read_bytes()
    digest = json.loads(done.stdout)["sha256"]
    assert subprocess.run(
        ["sha256sum", tool], check=True, capture_output=True, text=True
    ).stdout.startswith(digest)
    with payload(tool) as tar:
        contents = [tar.extractfile(member) for member in tar if member.isfile()]
        names = [
            content.name
            for content in contents
            if content and str(maker.folder).encode() in content.read()
        ]
    assert len(contents) > 500
    assert names == []


def payload(tool: Path) -> tarfile.TarFile:
    """Return the archive at the end of the file."""
    data = tool.read_bytes()
    start = int(re.search(rb"tail -c \+(\d+)", data)[1]) - 1  # type: ignore[index]
    return tarfile.open(fileobj=io.BytesIO(data[start:]))


def test_commands_start_the_python_of_the_tool_only(installed: Path, workplace: Workplace) -> None:
    (workplace.folder / "bundler.py").write_text(
        "raise SystemExit('imported from the current folder')\n"
    )
    link = workplace.folder / "publish-index"
    link.symlink_to(installed / "bin" / "publish-index")
    done = workplace.run(link, "--help", PYTHONPATH=str(workplace.folder), PYTHONHOME="/nowhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: publish-index ")
    done = workplace.run(
        str(installed / "bin" / "bundler"), "hps", "list", "--url", "http://127.0.0.1:9/hps"
    )
    assert done.returncode == 1
    assert "bundler carry --with-hps" in done.stderr
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    workplace.bundle("solve.py")
    assert (
        workplace.run(
            "bundler", "pack", "solve.bundle", "-o", "x.tar.zst", "--compress", "zstd"
        ).returncode
        == 0
    )
    done = workplace.run(str(installed / "bin" / "bundler"), "verify", "x.tar.zst")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not MOUNTS, reason="this system does not let users mount")
def test_a_folder_without_execution_is_explained_and_the_temporary_folder_may_be_one(
    tool: Path,
) -> None:
    for mount, code in (("/mnt", 1), ("/tmp", 0)):
        # What is below /tmp stays reachable by its descriptor.
        lines = f"exec 3< {tool}; cat <&3 > /dev/shm/tool-{code}.sh; mount -t tmpfs -o noexec none {mount}; "
        target = "/mnt/tool" if code else "/dev/shm/tool-dir"
        command = f"{lines} sh /dev/shm/tool-{code}.sh {target}; code=$?; rm -rf /dev/shm/tool*; exit $code"
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", command],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        assert ("mounted noexec" in done.stderr) == bool(code)


def test_windows_gets_a_zip_file_with_commands(
    maker: Workplace, mirror: Path, tmp_path: Path
) -> None:
    windows = tmp_path / "windows"
    windows.mkdir()
    archive = windows / "cpython-3.12.1-windows-x86_64-none.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("python/python.exe", "python/Lib/os.py"):
            path = tmp_path / "empty"
            path.write_bytes(b"MZ")
            tar.add(path, name)
    (entry, *_) = json.loads((mirror / "downloads.json").read_bytes()).values()
    digest = subprocess.run(
        ["sha256sum", archive], check=True, capture_output=True, text=True
    ).stdout.split()[0]
    entry |= {
        "os": "windows",
        "libc": "none",
        "major": 3,
        "minor": 12,
        "patch": 1,
        "url": archive.name,
        "glibc": 0,
    }
    entry |= {"sha256": digest, "arch": {"family": "x86_64", "variant": None}}
    (windows / "downloads.json").write_text(json.dumps({"x": entry}))
    name, data = make_wheel(
        "backports-zstd", "99", tag="cp312-cp312-win_amd64", files={"backports/zstd.py": b""}
    )
    maker.index.add((name, data))
    maker.index.add(make_wheel("colorama"))
    maker.index.add(make_wheel("tomli", "99"))  # The installed one is native.
    command: list[str | Path] = [
        "bundler",
        "carry",
        "--platform",
        "windows",
        "--python",
        "3.12",
        "--python-mirror",
        windows,
    ]
    done = maker.run(*command)
    assert (done.returncode, done.stdout) == (0, "hps-bundler-windows.zip\n"), done.stderr
    with zipfile.ZipFile(maker.folder / "hps-bundler-windows.zip") as tool:
        names = tool.namelist()
        text = tool.read("bin/publish-index.cmd").decode()
    assert {
        "README.txt",
        "bin/bundler.cmd",
        "python/python.exe",
        "python/Lib/site-packages/bundler/__main__.py",
    } <= set(names)
    assert text.startswith('@"%~dp0..\\python\\python.exe" -I -c ')
    assert text.endswith(" %*\r\n")
    first = (maker.folder / "hps-bundler-windows.zip").read_bytes()
    shutil.rmtree(maker.folder / "home" / ".cache", ignore_errors=True)
    assert maker.run(*command).returncode == 0
    assert (maker.folder / "hps-bundler-windows.zip").read_bytes() == first
