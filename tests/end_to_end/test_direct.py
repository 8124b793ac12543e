"""A published script, run by hand: the same files, checks and cache as on HPS, but nothing between it and its user."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import ISOLATED, STRATEGIES, evaluate, publish, with_bundle

BODY = """
import json, pathlib, signal, sys, time
import alpha, beta
path = pathlib.Path("input_parameters.json")
given = json.loads(path.read_text()) if path.exists() else {}
print("got", beta.version, sys.argv[1:], given)
if "read" in sys.argv:
    print("read", sys.stdin.read())
if "wait" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("ready", flush=True)
    time.sleep(30)
sys.exit(given.get("code", 0))
"""
# What run.sh needs of a node.
TOOLS = (
    "sh uname getconf id find mkdir mktemp cp sha256sum tar gzip mv rm rmdir dirname printf sleep"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Workplace]:
    """A workplace with wheels, which nobody writes to."""
    with serving(Index()) as index:
        yield with_bundle(
            workplace_in(tmp_path_factory.mktemp("direct"), index), mirror, BIN / "uv"
        )


@pytest.fixture
def site(workplace: Workplace, template: Workplace, mirror: Path) -> Workplace:
    """A workplace with a bundle that needs nothing of a node."""
    workplace.index.files.update(template.index.files)
    workplace.script("solve.py", "alpha", body=BODY)
    workplace.bundle("solve.py", "--include-uv", "--python-mirror", mirror)
    return workplace


def run(
    site: Workplace, publication: Path, *words: str, stdin: str = "", program: str = "run.py"
) -> subprocess.CompletedProcess[str]:
    """Run a program of `publication` in a folder for work, without network."""
    folder = site.folder / "work"
    folder.mkdir(exist_ok=True)
    starter = [sys.executable] if program.endswith(".py") else ["sh"]
    environment = {**site.environment, "UV_CACHE_DIR": str(site.folder / "node-cache")}
    return subprocess.run(
        [*ISOLATED, *starter, publication / program, *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_script_run_by_hand_has_its_own_output_input_arguments_and_exit_code(
    site: Workplace, strategy: str
) -> None:
    publication = publish(site, strategy)
    done = run(site, publication, "-p", "x=2.5", "-p", "name=a b", "--", "read", "-v", stdin="in")
    assert done.returncode == 0, done.stderr
    expected = "got 1.5 ['read', '-v'] {'x': 2.5, 'name': 'a b'}\nread in\n"
    assert (done.stdout, done.stderr) == (expected, "")
    done = run(site, publication, "-p", "code=3")
    assert (done.returncode, done.stderr) == (3, "")
    job, _ = evaluate(site, publication, software=[], parameter_values={"x": 2.5})
    assert "got 1.5 [] {'x': 2.5}" in job.stdout
    if strategy == "index":
        assert len(list(site.folder.glob("node-cache/environments-v2/solve-*"))) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_many_ranks_at_once_prepare_one_environment_and_print_its_python(
    site: Workplace, strategy: str
) -> None:
    publication = publish(site, strategy)
    with ThreadPoolExecutor(16) as pool:
        ranks = list(pool.map(lambda _: run(site, publication, "--prepare"), range(16)))
    (python,) = {rank.stdout.strip() for rank in ranks}
    done = subprocess.run(
        [python, "-c", "import beta; print(beta.version)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1.5\n"
    done = run(site, publication, "--python", "-c", "import sys; print(sys.argv)", "--script", "x")
    assert (done.stdout, done.returncode) == ("['-c', '--script', 'x']\n", 0)
    done = run(site, publication, "--print-command", "--", "a b")
    assert done.stdout.startswith(f"{python} ")
    assert done.stdout.endswith("solve.py 'a b'\n")


@contextlib.contextmanager
def waiting(site: Workplace, publication: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process of the script that waits for a signal."""
    environment = {**site.environment, "UV_CACHE_DIR": str(site.folder / "node-cache")}
    command: list[str | Path] = [sys.executable, publication / "run.py", "--", "wait"]
    with subprocess.Popen(
        command, cwd=site.folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("got")
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_signals_are_those_of_the_script(site: Workplace) -> None:
    with waiting(site, publish(site, "index")) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 7


def test_interrupted_while_the_environment_is_created_it_ends_without_a_traceback(
    site: Workplace,
) -> None:
    publication = publish(site, "index")
    slow = site.folder / "slow"
    slow.mkdir()
    (slow / "uv").write_text("#!/bin/sh\ntouch started\nexec sleep 60\n")
    (slow / "uv").chmod(0o755)
    environment = {
        **site.environment,
        "UV_CACHE_DIR": str(site.folder / "node-cache"),
        "PATH": f"{slow}{os.pathsep}{site.environment['PATH']}",
    }
    with subprocess.Popen(
        [sys.executable, publication / "run.py"],
        cwd=slow,
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        while not list(site.folder.rglob("started")):
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_the_cache_is_not_cleaned_while_a_script_that_was_run_by_hand_is_running(
    site: Workplace,
) -> None:
    publication = publish(site, "index")
    cache = site.folder / "node-cache"
    collect: list[str | Path] = [sys.executable, publication / "cache_gc.py", cache]
    with waiting(site, publication):
        (use,) = cache.glob("bundler/*.use")
        old = time.time() - 90 * 24 * 3600
        os.utime(use, (old, old))
        subprocess.run(collect, check=False, capture_output=True)
        assert use.exists()
    subprocess.run(collect, check=False, capture_output=True)
    assert not use.exists()


def test_the_shell_program_needs_no_particular_current_folder_and_tells_of_links(
    site: Workplace,
) -> None:
    publication = publish(site, "index")
    site.environment["CDPATH"] = "."
    assert run(site, publication, program="run.sh").stdout.startswith("got 1.5")
    link = site.folder / "elsewhere"
    link.mkdir()
    (link / "run.sh").symlink_to(publication / "run.sh")
    done = run(site, link, program="run.sh")
    assert (done.returncode, done.stdout) == (1, "")
    assert "hint: start run.sh in the folder of the publication" in done.stderr


def test_a_shell_runs_the_script_on_a_node_without_python(site: Workplace) -> None:
    publication = publish(site, "index")
    tools = site.folder / "tools"
    tools.mkdir()
    for name in TOOLS.split():
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    (tools / "cat").symlink_to(shutil.which("cat") or "")
    environment = {"PATH": str(tools), "UV_CACHE_DIR": str(site.folder / "node-cache")}
    shell = shutil.which("dash") or "/bin/sh"
    command: list[str | Path] = [shell, publication / "run.sh", "-p", "x=1", "--", "a"]
    with ThreadPoolExecutor(4) as pool:
        ranks = list(
            pool.map(
                lambda _: subprocess.run(
                    command,
                    cwd=site.folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                ),
                range(4),
            )
        )
    for rank in ranks:
        assert (rank.returncode, rank.stdout) == (0, "got 1.5 ['a'] {'x': 1}\n"), rank.stderr
    archive = next(publication.glob("pythons/*.tar.gz"))
    data = archive.read_bytes()
    archive.unlink()
    archive.write_bytes(data[:-1] + b"x")
    environment["UV_CACHE_DIR"] = str(site.folder / "other-cache")
    done = subprocess.run(
        command, cwd=site.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "was changed after it was published" in done.stderr
    assert not list(Path(environment["UV_CACHE_DIR"]).rglob("python3"))


@pytest.mark.parametrize(
    "target", ["wheels/alpha-*.whl", "targets/*/*/solve.py", "targets/*/*/*.lock"]
)
def test_a_file_that_was_changed_in_the_store_is_refused(site: Workplace, target: str) -> None:
    publication = publish(site, "index")
    (path,) = publication.glob(target)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data + b"\n# changed\n")
    done = run(site, publication)
    assert (done.returncode, done.stdout) == (1, "")
    assert "was changed after it was published" in done.stderr


def test_a_copy_outside_of_the_store_pins_all_files(site: Workplace) -> None:
    publication = publish(site, "index")
    copy = site.folder / "own" / "run.py"
    copy.parent.mkdir()
    shutil.copy(publication / "run.py", copy)
    assert run(site, copy.parent).stdout.startswith("got 1.5")


@pytest.mark.parametrize("way", ["path", "link"])
def test_a_module_next_to_the_program_or_the_script_is_not_imported(
    site: Workplace, way: str
) -> None:
    publication = publish(site, "index")
    evil = "import sys\nsys.stderr.write('evil')\nannotations = version = None\n"
    for folder in (publication, *publication.glob("targets/*/*")):
        for name in ("beta.py", "argparse.py", "json.py", "__future__.py", "sitecustomize.py"):
            (folder / name).write_text(evil)
    place = publication
    if way == "link":
        place = site.folder / "link"
        place.symlink_to(publication)
    done = run(site, place)
    assert done.stdout.startswith("got 1.5"), done.stderr
    assert done.stderr == ""


def test_words_after_python_are_passed_on_whatever_they_are(site: Workplace) -> None:
    publication = publish(site, "index")
    (site.folder / "work").mkdir()
    (site.folder / "work" / "show.py").write_text("import sys\nprint(sys.argv[1:])\n")
    done = run(site, publication, "--python", "show.py", "a", "--", "in.dat", "--cache", "x")
    assert done.stdout == "['a', '--', 'in.dat', '--cache', 'x']\n"
    assert not (site.folder / "work" / "x").exists()


def test_a_folder_that_everybody_can_write_to_is_not_searched_for_modules(site: Workplace) -> None:
    publication = publish(site, "index")
    work = site.folder / "work"
    work.mkdir()
    work.chmod(0o777)
    (work / "beta.py").write_text("version = 'evil'\n")
    assert run(site, publication).stdout.startswith("got 1.5")


def test_a_store_below_a_path_of_any_characters_serves_its_jobs(site: Workplace) -> None:
    done = site.run("publish-index", "store \U0001f600 d\x7fl", "solve.bundle")
    assert done.returncode == 0, done.stderr
    assert run(site, Path(done.stdout.rstrip("\n"))).stdout.startswith("got 1.5")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--script", "x.py"], "there is no script x.py"),
        (["-p", "x"], "-p x is not NAME=VALUE"),
        (["--parameters", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_a_wrong_option_is_one_explained_failure(
    site: Workplace, words: list[str], problem: str
) -> None:
    done = run(site, publish(site, "index"), *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
