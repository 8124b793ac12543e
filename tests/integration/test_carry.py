"""The shell program of the carried tool, with a Python that does nothing: it loses nothing and explains failures."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import signal as unix_signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bundler.carry import write_tool
from tests.stand_ins.manifests import manifest

CONTENTS = {
    "python/bin/python3": b"#!/bin/sh\nexit 0\n",
    "python/lib/large": hashlib.shake_128(b"large").digest(200_000),
}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small")
    with tarfile.open(place / "environment.tar.gz", "w:gz") as tar:
        for name, data in CONTENTS.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    path = place / "tool.sh"
    write_tool(
        place / "environment.tar.gz", path, manifest().targets[0], ("bundler", "publish-index")
    )
    return path


@pytest.fixture
def installed(small: Path, tmp_path: Path) -> Path:
    done = install(small, tmp_path / "tool")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/tool/bin\n"), done.stderr
    return tmp_path / "tool"


def install(small: Path, folder: Path | str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(small), str(folder)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, **options
    )


def test_an_older_installation_is_replaced_also_through_a_link(
    installed: Path, small: Path, tmp_path: Path
) -> None:
    (installed / "old").touch()
    (tmp_path / "link").symlink_to(installed)
    done = install(small, f"{tmp_path}/link//")
    assert (done.returncode, done.stdout) == (0, f"{installed}/bin\n"), done.stderr
    assert not (installed / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "tool"]


def test_folders_that_are_no_installation_are_kept(small: Path, tmp_path: Path) -> None:
    for name in ("other", "x.bundler-old", "y.bundler-new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name, reason in (
        ("other", f"error: {tmp_path}/other exists and is not an installation"),
        ("x", f"error: {tmp_path}/x.bundler-old is in the way"),
        ("y", f"error: {tmp_path}/y.bundler-new is in the way"),
        ("dangling", f"error: {tmp_path}/dangling exists and is not a folder"),
    ):
        done = install(small, tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert reason in done.stderr
    assert install(small, "/").stderr.startswith("error: the tool cannot be installed in /")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dangling",
        "other",
        "x.bundler-old",
        "y.bundler-new",
    ]
    assert len(list(tmp_path.glob("*/precious"))) == 3


@pytest.mark.parametrize("when", ["after the first move", "while it unpacks"])
@pytest.mark.parametrize("signal", ["INT", "TERM", "KILL"])
def test_an_interrupted_update_leaves_an_installation_and_the_next_one_works(
    installed: Path, small: Path, tmp_path: Path, signal: str, when: str
) -> None:
    (installed / "old").touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    name, pattern = ("mv", "*.bundler-old") if when == "after the first move" else ("tar", "*")
    real = shutil.which(name)
    (programs / name).write_text(
        f'#!/bin/sh\n{real} "$@"\ncode=$?\nfor last; do :; done\ncase "$last" in {pattern}) '
        f"kill -{signal} $(cat {tmp_path}/pid); sleep 1;; esac\nexit $code\n"
    )
    (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    command = f'echo $$ > {tmp_path}/pid; exec sh "{small}" "{installed}"'
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PATH": path},
        check=False,
        capture_output=True,
        timeout=120,
        # A shell cannot catch what was ignored when it started, as in a job in the background.
        preexec_fn=lambda: unix_signal.signal(unix_signal.SIGINT, unix_signal.default_int_handler),
    )
    ended = signal != "KILL" and when == "after the first move"  # Signals wait for the second move.
    assert (done.returncode == 0) == ended
    assert ended or list(tmp_path.glob("tool*/old")), "the earlier installation is there"
    assert install(small, installed).returncode == 0
    assert not (installed / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pid", "programs", "tool"]


PROGRAMS = (
    "cat",
    "chmod",
    "dirname",
    "basename",
    "id",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "rmdir",
    "sha256sum",
    "tail",
    "tar",
)


@pytest.fixture
def counting(tmp_path: Path) -> dict[str, str]:
    """Variables with which each program of the shell kills it, before or after its work, if it is the one to do so."""
    programs = tmp_path / "programs"
    programs.mkdir()
    kill = f"kill -KILL $(cat {tmp_path}/pid); exec sleep 0.1"
    for name in PROGRAMS:
        # Programs of a pipe run at the same time, and each has a number of its own.
        (programs / name).write_text(
            f"#!/bin/sh\nPATH={os.environ['PATH']}\nnumber=1\n"
            f"until mkdir {tmp_path}/calls/$number 2> /dev/null; do number=$((number + 1)); done\n"
            f'[ "$number" = "$KILL_BEFORE" ] && {{ {kill}; }}\n{name} "$@"\ncode=$?\n'
            f'[ "$number" = "$KILL_AFTER" ] && {{ {kill}; }}\nexit $code\n'
        )
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.mark.parametrize("before", ["nothing", "an empty folder", "an installation"])
def test_a_kill_at_any_step_loses_nothing_and_leaves_nothing_after_the_next_run(
    small: Path, tmp_path: Path, counting: dict[str, str], before: str
) -> None:
    place = tmp_path / "place"
    calls = tmp_path / "calls"

    def run(**kill: str) -> int:
        for folder in (place, calls):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        if before != "nothing":
            (place / "tool").mkdir()
        if before == "an installation":
            assert install(small, place / "tool").returncode == 0
            (place / "tool" / "old").touch()
        command = f'echo $$ > {tmp_path}/pid; exec sh "{small}" "{place}/tool"'
        environment = {**counting, **kill}
        return subprocess.run(
            ["/bin/sh", "-c", command], env=environment, check=False, capture_output=True
        ).returncode

    assert run() == 0
    steps = len(list(calls.iterdir()))
    assert steps > 10
    for step in range(1, steps + 1):
        for moment in ("KILL_BEFORE", "KILL_AFTER"):
            assert run(**{moment: str(step)}) == -unix_signal.SIGKILL
            works = [path for path in place.glob("tool*") if (path / "bin" / "bundler").exists()]
            assert works or before != "an installation", (moment, step)
            assert install(small, place / "tool").returncode == 0, (moment, step)
            assert [path.name for path in place.iterdir()] == ["tool"], (moment, step)
            assert not (place / "tool" / "old").exists()


def test_a_disk_without_room_keeps_the_installation_and_a_running_one_is_waited_for(
    installed: Path, small: Path, tmp_path: Path
) -> None:
    done = install(
        small,
        installed,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "make room on its disk" in done.stderr
    assert subprocess.run([installed / "bin" / "bundler"], check=False, timeout=60).returncode == 0
    running = tmp_path / "tool.bundler-new"
    running.mkdir()
    own = hashlib.sha256(Path("/proc/self/cmdline").read_bytes()).hexdigest()
    (running / ".pid").write_text(f"{os.getpid()} {own}\n")
    done = install(small, installed)
    assert (done.returncode, f"another installation in {installed} is running" in done.stderr) == (
        1,
        True,
    )
    assert (running / ".pid").exists()


@pytest.mark.parametrize("text", ["", "\n", "1\n", "OWN\n", "OWN another command\n", "-1\n"])
def test_what_a_killed_installation_left_blocks_no_later_one(
    small: Path, tmp_path: Path, text: str
) -> None:
    """It may have been killed before it wrote its number, which another process may have by now."""
    left = tmp_path / "tool.bundler-new"
    left.mkdir()
    (left / ".pid").write_text(text.replace("OWN", str(os.getpid())))
    (tmp_path / "tool.bundler-old").mkdir()  # It existed and was empty.
    done = install(small, tmp_path / "tool")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tool"]


def test_an_empty_folder_is_replaced(small: Path, tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    assert install(small, tmp_path / "tool").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tool"]


@pytest.mark.skipif(os.geteuid() != 0, reason="what another user installs is for that user")
def test_what_root_installs_is_for_everybody(small: Path, tmp_path: Path) -> None:
    assert install(small, tmp_path / "tool", preexec_fn=lambda: os.umask(0o077)).returncode == 0
    modes = {
        path: path.stat().st_mode & 0o777
        for path in [tmp_path / "tool", *(tmp_path / "tool").rglob("*")]
    }
    assert {path for path, mode in modes.items() if mode & 0o044 != 0o044} == set()


def test_a_python_with_a_library_of_its_own_finds_it(tmp_path: Path) -> None:
    python = b'#!/bin/sh\necho "$LD_LIBRARY_PATH"\n[ -e "${LD_LIBRARY_PATH%%:*}/libpython3.11.so.1.0" ]\n'
    contents = {"python/bin/python3": python, "python/lib/libpython3.11.so.1.0": b"library"}
    with tarfile.open(tmp_path / "environment.tar.gz", "w:gz") as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    write_tool(
        tmp_path / "environment.tar.gz", tmp_path / "tool.sh", manifest().targets[0], ("bundler",)
    )
    done = install(tmp_path / "tool.sh", tmp_path / "tool")
    assert done.returncode == 0, done.stderr
    command = [tmp_path / "tool" / "bin" / "bundler"]
    for before, expected in (("", "lib"), ("/elsewhere", "lib:/elsewhere")):
        environment = {**os.environ, "LD_LIBRARY_PATH": before}
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, timeout=60
        )
        assert done.stdout.strip().endswith(f"/python/{expected}")


def test_any_name_of_a_folder_works_and_the_removal_can_be_pasted(
    small: Path, tmp_path: Path
) -> None:
    name = 'it\'s $x `y` \\n "z" -é'
    done = install(small, f"new/{name}/", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "new" / name
    assert done.stdout == f"{folder}/bin\n"
    assert (
        subprocess.run([folder / "bin" / "publish-index"], check=False, timeout=60).returncode == 0
    )
    removal = done.stderr.rpartition("To remove it: ")[2]
    (tmp_path / "new" / "neighbour").touch()
    subprocess.run(["sh", "-c", removal], check=True, timeout=60)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["neighbour"]


@pytest.mark.parametrize("kind", ["flipped", "cut", "cut in the header"])
def test_a_damaged_file_installs_nothing(small: Path, tmp_path: Path, kind: str) -> None:
    data = bytearray(small.read_bytes())
    if kind == "flipped":
        data[-1000] ^= 1
    damaged = tmp_path / "damaged.sh"
    damaged.write_bytes(
        data[: {"flipped": len(data), "cut": len(data) // 2, "cut in the header": 1500}[kind]]
    )
    for arguments in ([tmp_path / "there"], ["--verify"]):
        done = subprocess.run(
            ["sh", damaged, *arguments], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode != 0
        assert done.stdout == ""
    if kind != "cut in the header":
        assert done.stderr == f"error: {damaged} is damaged\nhint: copy it again\n"
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.sh"]


def test_wrong_arguments_show_the_usage(small: Path) -> None:
    for arguments, code in (
        ([], 2),
        (["a", "b"], 2),
        (["--other"], 2),
        (["--verify", "x"], 2),
        (["--help"], 0),
    ):
        done = subprocess.run(
            ["sh", small, *arguments], check=False, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, "Usage: sh " in done.stdout + done.stderr) == (code, True)


def test_standard_input_and_names_with_a_dash_are_understood(small: Path, tmp_path: Path) -> None:
    shutil.copy(small, tmp_path / "-t.sh")
    done = subprocess.run(
        ["sh", "--", "-t.sh", "there"], cwd=tmp_path, check=False, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    with small.open() as source:
        command = ["sh", "-s", "--", "two"]
        done = subprocess.run(
            command, stdin=source, cwd=tmp_path, check=False, capture_output=True, timeout=60
        )
    assert done.returncode == 1
    assert (
        done.stderr
        == b"error: cannot find the file that is running\nhint: run it as: sh FILE DIR\n"
    )


def test_a_failed_installation_leaves_no_new_folder(small: Path, tmp_path: Path) -> None:
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # noqa: E731 - one argument
    done = install(small, tmp_path / "a" / "b" / "tool", preexec_fn=limit)
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "shell", ["dash", "bash", "bash --posix", "ksh", "mksh", "zsh", "busybox sh"]
)
def test_every_shell_installs_it(small: Path, tmp_path: Path, shell: str) -> None:
    program, *options = shell.split()
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    command = [program, *options, str(small), str(tmp_path / "tool")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/tool/bin\n"), done.stderr
    assert sorted(path.name for path in (tmp_path / "tool").iterdir()) == [
        ".hps-bundler",
        "bin",
        "python",
    ]
