"""One file that runs a script: with its Python, its packages and its own verification."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import BIN, PYTHON, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import with_bundle

BODY = "import sys, beta\nprint('got', beta.version, sys.argv[1:])\nsys.exit(len(sys.argv) - 1)\n"
TOOLS = "sh tail sha256sum find mkdir mktemp mv rm tar gzip printf id ls cat dirname"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Workplace]:
    """A workplace with `solve.run`, which nobody writes to."""
    with serving(Index()) as index:
        site = workplace_in(tmp_path_factory.mktemp("runnable"), index)
        with_bundle(site, mirror, BIN / "uv")
        site.script("solve.py", "alpha", body=BODY)
        command = ["bundle", "--python", PYTHON, "solve.py", "--python-mirror", str(mirror)]
        done = site.run(*command, "--runnable", "--replace")
        assert done.stdout == "solve.bundle\nsolve.run\n", done.stderr
        yield site


def run(
    site: Workplace, path: Path, *words: str, shell: str = "sh", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the file at `path` as on a machine that has little more than a shell."""
    tools = site.folder / "tools"
    if not tools.exists():
        tools.mkdir()
        for name in TOOLS.split():
            found = shutil.which(name)
            if found:
                (tools / name).symlink_to(found)
    environment = {"PATH": str(tools), "HOME": str(site.folder / "home2"), **variables}
    return subprocess.run(
        [shutil.which(shell) or shell, path, *words],
        cwd=site.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox"])
def test_the_file_runs_its_script_with_arguments_and_exit_code(
    workplace: Workplace, made: Workplace, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    words = ["sh"] if shell == "busybox" else []
    path = made.folder / "solve.run"
    command = [str(path), "a b", "--help"]
    done = run(
        workplace,
        Path(words[0]) if words else path,
        *(command if words else command[1:]),
        shell=shell,
    )
    assert (done.returncode, done.stdout) == (2, "got 1.5 ['a b', '--help']\n"), done.stderr
    assert done.stderr == ""


def test_processes_that_start_together_unpack_it_once_and_all_run(
    workplace: Workplace, made: Workplace
) -> None:
    assert run(workplace, made.folder / "solve.run", "--verify-file").returncode == 0
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: run(workplace, made.folder / "solve.run"), range(8)))
    assert [(each.returncode, each.stdout, each.stderr) for each in runs] == [
        (0, "got 1.5 []\n", "")
    ] * 8
    cache = workplace.folder / "home2" / ".cache" / "bundler-runnable"
    (place,) = cache.iterdir()
    digest = hashlib.sha256(_archive(made.folder / "solve.run")).hexdigest()
    assert place.name == digest[:16]
    assert not (place / "python").exists()


def _archive(path: Path) -> bytes:
    data = path.read_bytes()
    return data[data.index(b"\n}\n\x1f\x8b") + 3 :]


@pytest.mark.parametrize("damage", ["changed", "cut off", "only the start"])
def test_a_damaged_file_runs_nothing(workplace: Workplace, made: Workplace, damage: str) -> None:
    data = (made.folder / "solve.run").read_bytes()
    damaged = {
        "changed": data[:-1000] + bytes([data[-1000] ^ 1]) + data[-999:],
        "cut off": data[:-1],
        "only the start": data[:1000],
    }
    path = workplace.folder / "solve.run"
    path.write_bytes(damaged[damage])
    done = run(workplace, path)
    assert done.returncode != 0
    assert done.stdout == ""
    assert not list((workplace.folder / "home2").rglob("python3"))
    assert run(workplace, path, "--verify-file").returncode != 0


def test_a_cache_that_others_can_write_to_is_not_trusted(
    workplace: Workplace, made: Workplace
) -> None:
    cache = workplace.folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    done = run(workplace, made.folder / "solve.run", BUNDLER_RUNNABLE_CACHE=str(cache))
    assert done.returncode == 1
    assert f"other users can write to {cache}" in done.stderr


def test_the_same_bundle_gives_the_same_file(workplace: Workplace, made: Workplace) -> None:
    done = workplace.run(
        "bundler", "pack", made.folder / "solve.bundle", "--runnable", "-o", "again.run"
    )
    assert done.returncode == 0, done.stderr
    again = (workplace.folder / "again.run").read_bytes()
    assert again == (made.folder / "solve.run").read_bytes()
    assert done.stderr == f"SHA-256: {hashlib.sha256(again).hexdigest()}\n"


def test_bundles_that_cannot_be_one_file_are_refused_with_what_to_do(
    workplace: Workplace, made: Workplace
) -> None:
    made_of = made.folder / "solve.bundle"
    done = workplace.run("bundler", "pack", made_of, "--runnable", "--compress", "zstd", "-o", "x")
    assert done.returncode == 2
    workplace.index.files.update(made.index.files)
    workplace.script("solve.py", "alpha")
    workplace.bundle("solve.py")
    done = workplace.run("bundler", "pack", "solve.bundle", "--runnable", "-o", "x.run")
    assert "includes no Python, which a file that runs needs\nhint: bundle again" in done.stderr
    workplace.bundle(
        "solve.py", "--platform", "x86_64-manylinux_2_28", "--platform", "windows", "--replace"
    )
    done = workplace.run("bundler", "pack", "solve.bundle", "--runnable", "-o", "x.run")
    assert "has 2 targets, and a file that runs has one" in done.stderr
    assert not (workplace.folder / "x.run").exists()
