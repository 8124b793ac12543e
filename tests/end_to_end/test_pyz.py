"""The far-side tool as one file, run by a Python without our packages and without their dependencies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from bundler.pyz import write_pyz
from tests.conftest import Workplace
from tests.integration.test_audit import write
from tests.stand_ins.osv import record
from tests.stand_ins.signers import make_key
from tests.stand_ins.wheels import make_wheel

# The interpreter of the virtual environment's base, which has none of the packages.
PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:

    path = tmp_path_factory.mktemp("pyz") / "bundler.pyz"
    write_pyz(path)
    return path


@pytest.fixture
def far_side(workplace: Workplace) -> Workplace:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha", body="import alpha\nprint('runs')\n")
    workplace.bundle("solve.py")
    return workplace


def test_the_same_packages_give_the_same_bytes_with_no_path_or_native_module(
    pyz: Path, workplace: Workplace
) -> None:
    done = workplace.run("bundler", "pyz", "--output", "again.pyz")
    assert (done.returncode, done.stdout) == (0, "again.pyz\n"), done.stderr
    data = (workplace.folder / "again.pyz").read_bytes()
    assert data == pyz.read_bytes()
    with zipfile.ZipFile(pyz) as outer:
        assert sorted(outer.namelist()) == ["__main__.py", "contents.zip"]
        inner = zipfile.ZipFile(outer.open("contents.zip"))
        names = inner.namelist()
        assert not [
            name
            for name in names
            if name.endswith((".so", ".pyd", ".pyc", ".pth")) or name.startswith("..")
        ]
        assert {
            "bundler/cli/__init__.py",
            "wheelhouse/store/store.py",
            "bundler/guides/jobs.md",
            "click/core.py",
        } <= set(names)
        texts = [inner.read(name) for name in names]
    assert not [text for text in texts if str(Path(sysconfig.get_path("purelib"))).encode() in text]


def test_every_far_side_command_works_from_the_file(pyz: Path, far_side: Workplace) -> None:
    def run(*arguments: str | Path) -> str:
        done = far_side.run(PYTHON, "-I", pyz, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    publication = run("publish-index", "share", "solve.bundle").strip()
    (far_side.folder / "node.json").write_text(run("probe"))
    make_key(far_side.folder / "key")
    write(
        far_side.folder / "osv",
        record("PYSEC-1", "alpha", [("introduced", "0")], severity=[{"score": VECTOR}]),
    )
    for command in (
        *(
            ["verify", "solve.bundle"],
            ["inspect", publication, "--json"],
            ["guide"],
            ["guide", "store"],
        ),
        *(
            ["check", publication, "--probe", "node.json"],
            ["gc", "."],
            ["rehearse", publication, "-o", "task"],
        ),
        *(
            ["submit", publication, "--dry-run"],
            ["completion", "bash"],
            ["--version"],
            ["probe", "--script"],
        ),
        *(["report", "solve.bundle"], ["sign", "solve.bundle", "--key", "key"]),
        ["audit", "solve.bundle", "--advisories", "osv"],
        *(
            ["store", "list", "share"],
            ["store", "verify", "share"],
            ["store", "prune", "share", "--keep-last", "1"],
        ),
    ):
        run(*command)
    far_side.run("bundle", "solve.py", "--include-uv")
    done = far_side.run(PYTHON, "-I", pyz, "bundle", "solve.py", "--upgrade")
    assert "hint: install the extra bundle of this tool from where you have the tool" in done.stderr


def test_it_is_unpacked_once_for_a_user_and_replaces_an_earlier_version(
    pyz: Path, far_side: Workplace
) -> None:
    cache = Path(far_side.environment["HOME"], ".cache", "hps-bundler")
    for name in ("pyz-new-killed", "pyz-old-killed", "pyz-0123"):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (0, 0))
    (cache / "pyz-0123" / "in-use").touch()
    cache.chmod(0o700)
    assert far_side.run(PYTHON, pyz, "--version").returncode == 0
    (folder,) = cache.iterdir()
    before = folder.stat().st_mtime_ns
    assert far_side.run(PYTHON, pyz, "--version").stdout.startswith("bundler.pyz ")
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [before]


def other_version(pyz: Path, path: Path) -> Path:
    """Write a version with another digest."""
    with zipfile.ZipFile(pyz) as archive, zipfile.ZipFile(path, "w") as out:
        main = archive.read("__main__.py").decode()
        digest = main.partition('BUILD = "')[2].partition('"')[0]
        out.writestr("__main__.py", main.replace(digest, digest[1:] + digest[0]))
        out.writestr("contents.zip", archive.read("contents.zip"))
    return path


def test_a_version_that_runs_is_not_deleted_by_another_one(pyz: Path, workplace: Workplace) -> None:
    other = other_version(pyz, workplace.folder / "other.pyz")
    code = (
        "import runpy, sys; sys.argv = ['bundler', '--version']\n"
        f"try: runpy.run_path({str(pyz)!r}, run_name='__main__')\n"
        "except SystemExit: print('ready', flush=True)\n"
        "input(); import bundler.cli.store_damage; print(bundler.__file__)\n"
    )
    with subprocess.Popen(
        [PYTHON, "-c", code],
        env=workplace.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin
        assert running.stdout
        assert "bundler" in running.stdout.readline()
        assert running.stdout.readline() == "ready\n"
        assert workplace.run(PYTHON, other, "--version").returncode == 0
        running.stdin.write("\n")
        running.stdin.close()
        folder = Path(running.stdout.read().strip()).parent.parent
        assert running.wait(timeout=60) == 0
    assert len([*folder.parent.iterdir()]) == 2
    (workplace.folder / "third").mkdir()
    third = other_version(other, workplace.folder / "third" / "bundler.pyz")
    assert workplace.run(PYTHON, third, "--version").returncode == 0
    assert len([*folder.parent.iterdir()]) == 1


# Makes a process end without a word at one of its changes of the disk.
_KILL = """
import os, runpy, sys
left = int(sys.argv[1])
def count(event, values):
    global left
    changes = event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree")
    changes |= event == "open" and isinstance(values[1], str) and bool(set("wx") & set(values[1]))
    if changes:
        left -= 1
        if not left:
            os._exit(9)
sys.addaudithook(count)
sys.argv = [sys.argv[2], "--version"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 60, 355, 365, 900])
def test_killed_at_any_change_of_its_cache_each_version_still_runs(
    pyz: Path, workplace: Workplace, step: int
) -> None:
    other = other_version(pyz, workplace.folder / "other.pyz")
    assert workplace.run(PYTHON, other, "--version").returncode == 0
    workplace.run(PYTHON, "-c", _KILL, str(step), pyz)
    for version in (other, pyz):
        done = workplace.run(PYTHON, version, "guide", "store")
        assert (done.returncode, done.stderr) == (0, "")
    cache = Path(workplace.environment["HOME"], ".cache", "hps-bundler")
    for folder in cache.iterdir():
        os.utime(folder, (0, 0))
    assert workplace.run(PYTHON, pyz, "--version").returncode == 0
    assert len([*cache.iterdir()]) == 1


@pytest.mark.parametrize("place", ["nowhere", "open"])
def test_it_runs_where_no_private_folder_can_be_made(
    pyz: Path, far_side: Workplace, place: str
) -> None:
    folder = far_side.folder / place
    if place == "open":
        (folder / "hps-bundler").mkdir(parents=True)
        (folder / "hps-bundler").chmod(0o777)
    else:
        folder.write_text("a file")
    done = far_side.run(PYTHON, pyz, "verify", "solve.bundle", XDG_CACHE_HOME=str(folder))
    assert done.returncode == 0, done.stderr
    assert place != "open" or not list((folder / "hps-bundler").iterdir())


def test_a_python_that_is_too_old_is_told_in_one_sentence(pyz: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        text = archive.read("__main__.py").decode()
    script = tmp_path / "main.py"
    script.write_text(text.replace("sys.version_info < (3, 10)", "sys.version_info < (9, 0)"))
    done = subprocess.run([PYTHON, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: this tool needs Python 3.10 or newer (this is 3.")
    for old in filter(shutil.which, ("python3.8", "python3.9", "python2")):
        if subprocess.run([old, "-c", ""], capture_output=True, check=False).returncode:
            continue  # A name without an interpreter behind it, as of a version manager.
        done = subprocess.run([old, pyz], capture_output=True, text=True, check=False)
        assert done.stderr.startswith("error: this tool needs Python 3.10 or newer")
