from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundler.node import preparing
from bundler.node.command import Command
from bundler.node.errors import OfflineRunError


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"prepared": 1}', "[" * 100_000, '{"prepared": true}', "\0"]
)
def test_a_record_of_any_shape_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.use").write_text(text)
    assert preparing.is_prepared(str(tmp_path / "a.use")) is False


def a_command(folder: Path, program: str) -> Command:
    """Return a command whose uv is the shell script `program`."""
    uv, launcher = folder / "uv", folder / "launcher.py"
    uv.write_text(f"#!/bin/sh\n{program}\n")
    uv.chmod(0o755)
    Path(f"{launcher}.lock").touch()
    return Command(
        [str(uv), "run", str(launcher)],
        {},
        [str(folder)],
        "python",
        str(folder / "s.py"),
        str(launcher),
    )


def test_an_environment_is_made_once_as_long_as_it_is_there(tmp_path: Path) -> None:
    python, log = tmp_path / "env" / "bin" / "python", tmp_path / "log"
    command = a_command(
        tmp_path,
        f'echo "$1 $TMPDIR" >> "{log}"\nmkdir -p {python.parent}; touch {python}; echo {python}',
    )
    kept = str(tmp_path / "kept")
    for _ in range(2):
        preparing.prepare(kept, "/share/a", command)
    # In a temporary folder that all jobs of the cache share, since uv locks there.
    assert log.read_text() == f"run {kept}/locks\n"
    noted = json.loads(Path(preparing.use_of(kept, command)).read_text())
    assert noted == {
        "publication": "/share/a",
        "holds": [str(tmp_path), str(tmp_path / "env")],
        "prepared": True,
    }
    (tmp_path / "env").rename(tmp_path / "gone")
    preparing.prepare(kept, "/share/a", command)
    assert log.read_text().count("run") == 2


def test_a_ready_made_environment_is_only_recorded(tmp_path: Path) -> None:
    command = a_command(tmp_path, "exit 1")._replace(launcher=None)
    preparing.prepare(str(tmp_path / "kept"), "/share/a", command)
    assert preparing.is_prepared(preparing.use_of(str(tmp_path / "kept"), command))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            "echo 'error: Hash mismatch for alpha' >&2; exit 2",
            "(?s)Hash mismatch for alpha.*hint: ask the owner of the store",
        ),
        (
            "echo 'No space left on device (os error 28)' >&2; exit 2",
            "(?s)the disk of the uv cache is full: .*No space left.*hint: free space on the disk",
        ),
        ("echo /nowhere/python", "could not create the environment of s.py"),
    ],
)
def test_a_failed_preparation_shows_the_words_of_uv_and_is_tried_again(
    tmp_path: Path, program: str, words: str
) -> None:
    command = a_command(tmp_path, program)
    with pytest.raises(OfflineRunError, match=words):
        preparing.prepare(str(tmp_path / "kept"), "/share/a", command)
    assert not preparing.is_prepared(preparing.use_of(str(tmp_path / "kept"), command))


def test_a_uv_that_cannot_be_started_is_a_failed_preparation(tmp_path: Path) -> None:
    command = a_command(tmp_path, "")
    (tmp_path / "uv").chmod(0o644)
    with pytest.raises(OfflineRunError, match=r"(?s)uv does not run from .*mounted noexec"):
        preparing.prepare(str(tmp_path / "kept"), "/share/a", command)


def test_nobody_creates_an_environment_while_another_job_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def never_mine(*_: object) -> Iterator[bool]:
        yield False

    monkeypatch.setattr(preparing, "turn", never_mine)
    command = a_command(tmp_path, f"touch {tmp_path}/ran")
    with pytest.raises(OfflineRunError, match="another job on this node"):
        preparing.prepare(str(tmp_path / "kept"), "/share/a", command)
    assert not (tmp_path / "ran").exists()


def test_a_wheel_that_uv_would_read_for_ever_is_told(tmp_path: Path) -> None:
    wheel = tmp_path / 'alpha "1".whl'
    lock = tmp_path / "solve.py.lock"
    lock.write_text(f"wheels = [{{ path = {json.dumps(str(wheel))} }}]\n")
    preparing.require_plain_wheels(str(lock))  # one that is missing is told by uv
    os.mkfifo(wheel)
    with pytest.raises(OfflineRunError, match="was changed after it was published"):
        preparing.require_plain_wheels(str(lock))
