from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bundler.node import scripts
from bundler.node.errors import OfflineRunError
from tests.stand_ins.descriptions import publication, target
from wheelhouse import toml


def test_a_script_is_chosen_by_name_where_there_are_several() -> None:
    several = publication(scripts=("a.py", "b.py"))
    assert scripts.choose_scripts(several, {"BUNDLER_SCRIPT": "b.py"}) == ["b.py"]
    assert scripts.choose_scripts(several, {"BUNDLER_SCRIPT": '["b.py", "a.py"]'}) == ["b.py", "a.py"]
    assert scripts.choose_scripts(publication(scripts=("a.py",)), {}) == ["a.py"]
    wrong: list[dict[str, str]] = [
        {},
        {"BUNDLER_SCRIPT": "c.py"},
        {"BUNDLER_SCRIPT": '["a.py", "c.py"]'},
        {"BUNDLER_SCRIPT": "[]"},
    ]
    for environment in wrong:
        with pytest.raises(
            OfflineRunError, match=r"are a\.py, b\.py\nhint: set the environment variable BUNDLER_SCRIPT"
        ):
            scripts.choose_scripts(several, environment)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("place", ["share", 'a "share" \u00fc'])
def test_scripts_are_copied_alone_with_locks_that_lead_back_to_the_share(tmp_path: Path, place: str) -> None:
    root = tmp_path / place
    folder = root / "targets" / "3.12-Linux"
    folder.mkdir(parents=True)
    lock = b'source = { registry = "simple" }\nwheels = [{ path = "../../../wheels/alpha-1.0-py3-none-any.whl" }]\n'
    (folder / "solve.py").write_bytes(b"print(1)")
    (folder / "solve.py.lock").write_bytes(lock)
    (folder / "alpha.py").write_text("evil")
    described = publication(target())
    described["scripts"] = {"solve.py": digest(b"print(1)")}
    here = target()
    here["locks"] = {"solve.py": digest(lock)}
    copies = Path(scripts.local_scripts(described, str(root), here, str(tmp_path / "kept")))
    assert sorted(path.name for path in copies.iterdir()) == ["solve.py", "solve.py.lock"]
    tables = toml.loads((copies / "solve.py.lock").read_text(encoding="utf-8"))
    assert Path(tables["wheels"][0]["path"]) == root / "wheels" / "alpha-1.0-py3-none-any.whl"
    assert Path(tables["source"]["registry"]) == folder / "simple"
    # They are the node's own from now on.
    (folder / "solve.py").unlink()
    assert scripts.local_scripts(described, str(root), here, str(tmp_path / "kept")) == str(copies)


def test_a_script_that_was_changed_is_not_copied(tmp_path: Path) -> None:
    folder = tmp_path / "targets" / "3.12-Linux"
    folder.mkdir(parents=True)
    (folder / "solve.py").write_bytes(b"print(2)")
    described = publication(target())
    described["scripts"] = {"solve.py": digest(b"print(1)")}
    with pytest.raises(OfflineRunError, match="solve.py was changed after it was published"):
        scripts.local_scripts(described, str(tmp_path), target(), str(tmp_path / "kept"))
    assert list((tmp_path / "kept").iterdir()) == []
