from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.node import scripts
from bundler.node.description import TargetDescription
from bundler.node.errors import OfflineRunError
from tests.stand_ins.descriptions import publication, target
from wheelhouse import toml

LOCK = b'source = { registry = "simple" }\nwheels = [{ path = "../../../../wheels/alpha-1.0-py3-none-any.whl" }]\n'


def test_a_script_is_chosen_by_name_where_there_are_several() -> None:
    several = publication(scripts=("a.py", "b.py"))
    assert scripts.choose_scripts(several, {"BUNDLER_SCRIPT": "b.py"}) == ["b.py"]
    assert scripts.choose_scripts(several, {"BUNDLER_SCRIPT": '["b.py", "a.py"]'}) == [
        "b.py",
        "a.py",
    ]
    assert scripts.choose_scripts(publication(scripts=("a.py",)), {}) == ["a.py"]
    wrong: list[dict[str, str]] = [
        {},
        {"BUNDLER_SCRIPT": "c.py"},
        {"BUNDLER_SCRIPT": '["a.py", "c.py"]'},
        {"BUNDLER_SCRIPT": "[]"},
    ]
    for environment in wrong:
        with pytest.raises(
            OfflineRunError,
            match=r"are a\.py, b\.py\nhint: set the environment variable BUNDLER_SCRIPT",
        ):
            scripts.choose_scripts(several, environment)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def local(
    root: Path, folder: str, state: Path, lock: bytes = LOCK, python: str = sys.executable
) -> scripts.LocalScript:
    described = publication(target())
    described["scripts"] = {"solve.py": digest(b"print(1)")}
    here: TargetDescription = {
        **target(),
        "folders": {"solve.py": folder},
        "locks": {"solve.py": digest(lock)},
    }
    return scripts.local_script(described, str(root), here, "solve.py", python, str(state))


def place_of(root: Path, folder: str, lock: bytes = LOCK, script: bytes = b"print(1)") -> Path:
    place = root / folder
    place.mkdir(parents=True)
    (place / "solve.py").write_bytes(script)
    (place / "solve.py.lock").write_bytes(lock)
    (place / "alpha.py").write_text("evil")
    return place


@pytest.mark.parametrize("root", ["share", 'a "share" \u00fc', r"a\1\g<0>"])
@pytest.mark.parametrize(
    ("folder", "up"), [("targets/3.12-Linux/solve", "../"), ("targets/3.12-Linux", "")]
)
def test_a_script_is_copied_alone_with_a_lock_that_leads_back_to_the_store(
    tmp_path: Path, root: str, folder: str, up: str
) -> None:
    lock = LOCK.replace(b"../../../../", f"../../../{up}".encode())
    place = place_of(tmp_path / root, folder, lock)
    copy = local(tmp_path / root, folder, tmp_path / "kept", lock)
    assert [path.name for path in Path(copy.script).parent.iterdir()] == ["solve.py"]
    tables = toml.loads(Path(f"{copy.launcher}.lock").read_text(encoding="utf-8"))
    assert (
        Path(tables["wheels"][0]["path"])
        == tmp_path / root / "wheels" / "alpha-1.0-py3-none-any.whl"
    )
    assert Path(tables["source"]["registry"]) == place / "simple"
    # They are the node's own from now on.
    (place / "solve.py").unlink()
    assert local(tmp_path / root, folder, tmp_path / "kept", lock) == copy


def test_another_python_gets_other_copies_and_so_an_environment_of_its_own(tmp_path: Path) -> None:
    place_of(tmp_path, "targets/a")
    other = tmp_path / "python3"
    other.touch()
    copies = {
        local(tmp_path, "targets/a", tmp_path / "kept", python=python)
        for python in (sys.executable, str(other))
    }
    assert len(copies) == 2


def test_a_script_that_was_changed_is_not_copied(tmp_path: Path) -> None:
    place_of(tmp_path, "targets/a", script=b"print(2)")
    with pytest.raises(OfflineRunError, match=r"solve\.py was changed after it was published"):
        local(tmp_path, "targets/a", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_launcher_starts_a_script_that_can_be_interrupted_and_alone_prints_its_python(
    tmp_path: Path,
) -> None:
    launcher, script = tmp_path / "launcher.py", tmp_path / "script" / "s.py"
    launcher.write_text(scripts.LAUNCHER)
    script.parent.mkdir()
    script.write_text(
        "import signal, sys\nprint(sys.argv, sys.path[0], signal.getsignal(signal.SIGINT).__name__)\n"
    )
    command = [sys.executable, str(launcher), str(script), "a 'b'"]
    # As a shell starts a background command.
    ignoring = ["/bin/sh", "-c", '"$@" & wait $!', "sh", *command]
    words = subprocess.run(ignoring, capture_output=True, text=True, check=True).stdout.strip()
    arguments = [str(script), "a 'b'"]
    assert words == f"{arguments} {script.parent} default_int_handler"
    alone = subprocess.run(command[:2], capture_output=True, text=True, check=True).stdout.strip()
    assert alone == sys.executable
