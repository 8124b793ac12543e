from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bundler.node import preparing
from bundler.node.command import Command
from bundler.node.errors import OfflineRunError


@pytest.mark.parametrize("text", ["", "[]", "null", '{"prepared": 1}', "[" * 100_000, '{"prepared": true}', "\0"])
def test_a_record_of_any_shape_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.use").write_text(text)
    assert preparing.is_prepared(str(tmp_path / "a.use")) is False


def a_command(folder: Path, uv: str | None = None) -> Command:
    script = folder / "solve.py"
    script.touch()
    python = folder / "python3"
    python.write_text("3.12.1")
    return Command([uv or str(python), "run", str(script)], {}, [str(folder)], str(python), str(script), uv)


def test_an_environment_is_made_once_as_long_as_its_folders_and_its_python_stay(tmp_path: Path) -> None:
    uv, log = tmp_path / "uv", tmp_path / "log"
    uv.write_text(f'#!/bin/sh\necho "$1 $TMPDIR" >> "{log}"\n[ "$1" = sync ] || echo "{tmp_path}/env/bin/python"\n')
    uv.chmod(0o755)
    (tmp_path / "env" / "bin").mkdir(parents=True)
    command = a_command(tmp_path, str(uv))
    Path(f"{command.script}.lock").touch()
    kept = str(tmp_path / "kept")
    for _ in range(2):
        preparing.prepare(kept, "/share/a", command)
    # In a temporary folder that all jobs of the cache share, since uv locks there.
    assert log.read_text() == f"sync {kept}/locks\npython {kept}/locks\n"
    noted = json.loads(Path(preparing.use_of(kept, command)).read_text())
    assert noted == {"publication": "/share/a", "holds": [str(tmp_path), str(tmp_path / "env")], "prepared": True}
    (tmp_path / "env").rename(tmp_path / "gone")
    preparing.prepare(kept, "/share/a", command)
    assert log.read_text().count("sync") == 2
    Path(command.python).write_text("3.12.10")
    preparing.prepare(kept, "/share/a", command)
    assert log.read_text().count("sync") == 3


def test_an_environment_that_could_not_be_made_is_tried_again(tmp_path: Path) -> None:
    command = a_command(tmp_path, "/nowhere/uv")
    Path(f"{command.script}.lock").touch()
    preparing.prepare(str(tmp_path / "kept"), "/share/a", command)
    assert not preparing.is_prepared(preparing.use_of(str(tmp_path / "kept"), command))


def test_a_wheel_that_uv_would_read_for_ever_is_told(tmp_path: Path) -> None:
    wheel = tmp_path / 'alpha "1".whl'
    lock = tmp_path / "solve.py.lock"
    lock.write_text(f"wheels = [{{ path = {json.dumps(str(wheel))} }}]\n")
    preparing.require_plain_wheels(str(lock))  # one that is missing is told by uv
    os.mkfifo(wheel)
    with pytest.raises(OfflineRunError, match="was changed after it was published"):
        preparing.require_plain_wheels(str(lock))
