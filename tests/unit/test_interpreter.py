from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import pytest

from wheelhouse.errors import FileError, MirrorError, UvError
from wheelhouse.select import interpreter
from wheelhouse.target import Target, parse_platform

PLACE = "https://mirror.test/pythons/"


def entry(version: str = "3.12.4", **changes: Any) -> dict[str, Any]:
    major, minor, patch = version.split(".")
    found = {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": int(major),
        "minor": int(minor),
        "patch": int(patch),
        "prerelease": "",
        "url": f"cpython-{version}.tar.gz",
        "sha256": "a" * 64,
        "variant": None,
    }
    return {**found, **changes}


def find(
    *entries: dict[str, Any], python: str = "3.12", platform: str = "x86_64-manylinux_2_28"
) -> interpreter.Archive:
    listed = json.dumps({str(number): each for number, each in enumerate(entries)}).encode()
    target = Target(python=python, platform=parse_platform(platform))
    return interpreter.find(target, PLACE, {f"{PLACE}downloads.json": listed}.__getitem__)


def test_the_newest_patch_release_of_the_target_is_taken() -> None:
    found = find(
        entry("3.12.4"), entry("3.12.10"), entry("3.13.1"), entry("3.12.11", prerelease="rc1")
    )
    assert (found.version, found.url, found.sha256) == (
        "3.12.10",
        f"{PLACE}cpython-3.12.10.tar.gz",
        "a" * 64,
    )
    assert find(entry("3.12.4"), entry("3.12.10"), python="3.12.4").version == "3.12.4"


@pytest.mark.parametrize(
    "changes",
    [
        {"os": "windows", "libc": "none"},
        {"libc": "musl"},
        {"arch": {"family": "aarch64", "variant": None}},
        {"arch": {"family": "x86_64", "variant": "v3"}},
        {"variant": "freethreaded"},
        {"name": "pypy"},
    ],
)
def test_what_is_for_another_node_is_not_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(
        MirrorError, match=r"Python 3\.12 on x86_64-manylinux_2_28: no suitable archive"
    ):
        find(entry(**changes))


def test_an_interpreter_that_needs_a_newer_glibc_than_the_target_is_not_taken() -> None:
    assert find(entry(glibc=28)).version == "3.12.4"
    with pytest.raises(MirrorError, match="needs a newer glibc"):
        find(entry(glibc=29))
    assert find(entry("3.12.4"), entry("3.12.9", glibc=35)).version == "3.12.4"


def test_the_systems_are_spelled_as_uv_does() -> None:
    assert find(entry(os="windows", libc="none"), platform="windows").version == "3.12.4"
    macos = entry(os="darwin", libc="none", arch={"family": "aarch64", "variant": None})
    assert find(macos, platform="macos").version == "3.12.4"
    assert find(entry(libc="musl"), platform="x86_64-unknown-linux-musl").version == "3.12.4"


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": None},
        {"sha256": "x"},
        {"url": "../../evil;rm.tar.gz"},
        {"url": "https://x.test/evil.exe"},
        {"arch": None},
        {"major": []},
    ],
)
def test_a_mirror_that_must_not_be_trusted_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((MirrorError, MirrorError)):
        find(entry(**changes))


@pytest.mark.parametrize("text", [b"", b"[]", b"[" * 100_000, b'{"a": 1}'])
def test_a_list_that_is_none_is_refused(text: bytes) -> None:
    target = Target(python="3.12", platform=parse_platform("windows"))
    with pytest.raises(MirrorError, match="does not have the format of uv"):
        interpreter.find(target, PLACE, lambda _url: text)


def test_without_a_mirror_the_digest_is_the_one_published_beside_the_archive() -> None:
    asked = []

    def sums(url: str) -> bytes:
        asked.append(url)
        names = [
            f"cpython-3.12.{patch}+{date}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
            for patch in range(40)
            for date in _dates(url)
        ]
        return "".join(f"{'b' * 64}  {name}\n" for name in names).encode()

    found = interpreter.find(Target(python="3.12", platform=parse_platform("linux")), None, sums)
    assert found.version.startswith("3.12.")
    assert found.sha256 == "b" * 64
    assert found.filename.endswith("-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz")
    assert asked == [found.url.rpartition("/")[0] + "/SHA256SUMS"]


def _dates(url: str) -> list[str]:
    return [part for part in url.split("/") if part.isdigit()]


def test_an_interpreter_that_is_here_is_packed_runs_elsewhere_and_is_the_same_bytes_twice(
    packable: Path, tmp_path: Path
) -> None:
    packed = []
    for name in ("one", "two"):
        (path,) = interpreter.pack([packable], tmp_path / name)
        packed.append(path)
    assert packed[0].read_bytes() == packed[1].read_bytes()
    version = ".".join(map(str, sys.version_info[:2]))
    target = Target(python=version, platform=parse_platform("x86_64-manylinux_2_40"))
    found = interpreter.find(
        target,
        str(tmp_path / "one"),
        lambda url: Path(url2pathname(url.removeprefix("file://"))).read_bytes(),
    )
    assert found.sha256 == hashlib.sha256(packed[0].read_bytes()).hexdigest()
    subprocess.run(["tar", "-xf", packed[0], "--one-top-level=node"], cwd=tmp_path, check=True)
    python = tmp_path / "node" / "python" / "bin" / "python3"
    done = subprocess.run(
        [python, "-Ic", "import ssl, sqlite3, sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / "node" / "python")


def test_a_mirror_whose_list_is_a_copy_of_the_original_serves_its_own_archives(
    tmp_path: Path,
) -> None:
    listed = entry(url="https://elsewhere.test/releases/cpython-3.12.4.tar.gz")
    (tmp_path / "downloads.json").write_text(json.dumps({"a": listed}))
    target = Target(python="3.12", platform=parse_platform("linux"))
    fetch = lambda url: Path(url2pathname(url.removeprefix("file://"))).read_bytes()  # noqa: E731
    assert interpreter.find(target, str(tmp_path), fetch).url == listed["url"]
    (tmp_path / "cpython-3.12.4.tar.gz").touch()
    assert (
        interpreter.find(target, str(tmp_path), fetch).url
        == (tmp_path / "cpython-3.12.4.tar.gz").as_uri()
    )


def test_what_is_no_python_is_not_packed(tmp_path: Path) -> None:
    for program in ("/bin/false", "/bin/true"):
        with pytest.raises(UvError, match="is not a Python 3"):
            list(interpreter.pack([Path(program)], tmp_path))
    with pytest.raises(FileError, match="No such file"):
        list(interpreter.pack([Path("/nowhere/python")], tmp_path))


def test_an_interpreter_of_the_system_that_looks_elsewhere_for_packages_is_not_packed(
    tmp_path: Path,
) -> None:
    system = Path("/usr/bin/python3")
    asked = "import site; print(site.getsitepackages(['/usr'])[0])"
    if not system.exists() or b"dist-packages" not in subprocess.check_output(
        [system, "-Ic", asked]
    ):
        pytest.skip("there is no such interpreter here")
    with pytest.raises(UvError, match="belongs to the system"):
        list(interpreter.pack([system], tmp_path))


@pytest.fixture(scope="module")
def movable(packable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Python that can be changed."""
    place = tmp_path_factory.mktemp("movable")
    (archive,) = interpreter.pack([packable], place)
    subprocess.run(["tar", "-xf", archive], cwd=place, check=True)
    return place / "python"


def test_a_python_with_a_link_to_another_place_of_this_machine_is_not_packed(
    movable: Path, tmp_path: Path
) -> None:
    (module,) = movable.glob("lib/python3.*/this.py")
    text = module.read_bytes()
    module.unlink()
    module.symlink_to("/etc/hostname")
    try:
        with pytest.raises(
            UvError, match=r"lib/python3.*/this.py is a link to /etc/hostname"
        ) as caught:
            list(interpreter.pack([movable / "bin" / "python3"], tmp_path / "mirror"))
        assert "python.org, pyenv or uv" in caught.value.hint
        assert list((tmp_path / "mirror").iterdir()) == []
    finally:
        module.unlink()
        module.write_bytes(text)


def test_a_python_whose_library_is_elsewhere_is_not_packed(movable: Path, tmp_path: Path) -> None:
    """It starts here, since the path of the library is part of it."""
    libraries = list(movable.glob("lib/libpython*"))
    for library in libraries:
        library.rename(tmp_path / library.name)
    try:
        if (
            not libraries
            or subprocess.run([movable / "bin" / "python3", "-c", ""], check=False).returncode
        ):
            pytest.skip("this Python needs no library, or finds only its own")
        with pytest.raises(
            UvError, match=r"would not start on another machine: it needs /.*libpython"
        ):
            list(interpreter.pack([movable / "bin" / "python3"], tmp_path / "mirror"))
    finally:
        for library in libraries:
            (tmp_path / library.name).rename(library)
