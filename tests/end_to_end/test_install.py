"""An environment for people, from a bundle, an archive or a publication, on a machine without uv."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import with_bundle
from tests.stand_ins.wheels import make_wheel
from wheelhouse import toml

SHELLS = ["bash", "dash", "zsh", "ksh", "fish", "tcsh"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Workplace]:
    """A workplace with a bundle that includes Python, and one that does not; nobody writes to them."""
    with serving(Index()) as index:
        site = workplace_in(tmp_path_factory.mktemp("install"), index)
        files = {
            "tool.py": b"def main():\n    import beta\n    print('tool', beta.version)\n",
            "tool-1.0.dist-info/entry_points.txt": b"[console_scripts]\ntool = tool:main\n",
        }
        index.add(make_wheel("tool", files=files, requires=["alpha"]))
        with_bundle(site, mirror, BIN / "uv")
        site.script("solve.py", "tool")
        site.bundle("solve.py", "-o", "own.bundle", "--python-mirror", mirror)
        site.bundle("solve.py", "-o", "local.bundle")
        yield site


def installed(site: Workplace, bundle: Path, *options: str) -> Path:
    """Install `bundle` to a new folder; return it."""
    place = site.folder / "env"
    done = site.run("bundler", "install", bundle, place, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{place}/bin/python3\n"
    return place


@pytest.mark.parametrize("kind", ["own", "local"])
def test_an_environment_has_exactly_the_locked_wheels_and_runs_wherever_it_is_moved(
    workplace: Workplace, made: Workplace, kind: str
) -> None:
    bundle = made.folder / f"{kind}.bundle"
    place = installed(workplace, bundle)
    (lock,) = bundle.glob("targets/*/*/pylock.*.toml")
    locked = {each["name"]: each["version"] for each in toml.loads(lock.read_text())["packages"]}
    metadata = [path.parent.name for path in place.glob("lib/*/site-packages/*.dist-info/RECORD")]
    found = dict(name.removesuffix(".dist-info").split("-") for name in metadata)
    assert found == locked
    moved = place.rename(place.with_name("moved env"))
    for record in moved.glob("lib/*/site-packages/*.dist-info/RECORD"):
        for line in record.read_text().splitlines():
            path, digest, _ = line.rsplit(",", 2)
            if digest:
                data = (record.parents[1] / path.strip('"')).read_bytes()
                text = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert digest == f"sha256={text}"
    done = subprocess.run([moved / "bin" / "tool"], capture_output=True, text=True, check=True)
    assert done.stdout == "tool 1.5\n"
    assert not [path for path in moved.rglob("*") if str(workplace.folder / "env") in _text(path)]


def _text(path: Path) -> str:
    is_text = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20
    return path.read_text(errors="replace") if is_text else ""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("kind", ["own", "local"])
def test_an_environment_can_be_activated_and_left_again(
    workplace: Workplace, made: Workplace, shell: str, kind: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    place = installed(workplace, made.folder / f"{kind}.bundle")
    suffix = {"fish": ".fish", "tcsh": ".csh"}.get(shell, "")
    word = "source" if suffix else "."
    text = f"cd {place}/bin\n{word} ./activate{suffix}\ncd /\ntool\npython -c 'import beta'\n"
    text += "command -v tool\ndeactivate\n" if shell != "tcsh" else "which tool\ndeactivate\n"
    done = subprocess.run([shell, "-c", text], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["tool 1.5", f"{place}/bin/tool"], done.stderr


def test_a_changed_bundle_installs_nothing(workplace: Workplace, made: Workplace) -> None:
    bundle = workplace.folder / "own.bundle"
    shutil.copytree(made.folder / "own.bundle", bundle)
    (wheel,) = bundle.glob("wheels/beta-*.whl")
    data = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(data[:-1] + b"x")
    done = workplace.run("bundler", "install", bundle, "env")
    assert done.returncode == 1
    assert "changed  wheels/beta" in done.stderr
    assert not (workplace.folder / "env").exists()


def test_an_update_replaces_only_an_environment_and_only_if_asked(
    workplace: Workplace, made: Workplace
) -> None:
    place = installed(workplace, made.folder / "local.bundle")
    (place / "note.txt").write_text("mine")
    again = workplace.run("bundler", "install", made.folder / "local.bundle", place)
    assert (again.returncode, again.stderr) == (0, f"{place} is up to date\n")
    assert (place / "note.txt").exists()
    other: list[str | Path] = ["bundler", "install", made.folder / "own.bundle", place]
    refused = workplace.run(*other)
    assert refused.returncode == 1
    assert "is an environment of another bundle\nhint: use --update" in refused.stderr
    assert workplace.run(*other, "--update").returncode == 0
    assert not (place / "pyvenv.cfg").exists()
    (workplace.folder / "mine").mkdir()
    (workplace.folder / "mine" / "note.txt").touch()
    for name in ("mine", "mine/note.txt"):
        done = workplace.run("bundler", "install", made.folder / "own.bundle", name, "--update")
        assert "is not an environment of this tool" in done.stderr
    assert (workplace.folder / "mine" / "note.txt").exists()


def test_a_kernel_for_jupyter_starts_the_python_of_the_environment(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("ipykernel", files={"ipykernel/__init__.py": b""}))
    workplace.script("solve.py", "ipykernel")
    data = workplace.folder / "jupyter"
    workplace.environment["JUPYTER_DATA_DIR"] = str(data)
    place = installed(workplace, workplace.bundle("solve.py"), "--jupyter")
    kernel = json.loads((data / "kernels" / "env" / "kernel.json").read_text())
    assert kernel["argv"] == [
        f"{place}/bin/python3",
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ]
    workplace.script("solve.py")
    workplace.bundle("solve.py", "-o", "none.bundle")
    done = workplace.run("bundler", "install", "none.bundle", "other", "--jupyter")
    assert "has no ipykernel, which Jupyter needs\nhint: bundle with --with" in done.stderr
    assert not (workplace.folder / "other").exists()


def test_a_kernel_has_a_name_that_jupyter_accepts_and_never_replaces_another(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("ipykernel", files={"ipykernel/__init__.py": b""}))
    workplace.script("solve.py", "ipykernel")
    workplace.bundle("solve.py")
    kernels = workplace.folder / "jupyter" / "kernels"
    workplace.environment["JUPYTER_DATA_DIR"] = str(kernels.parent)
    command = ("bundler", "install", "solve.bundle")
    for _ in range(2):
        done = workplace.run(*command, "My Study (2)", "--jupyter")
        assert done.returncode == 0, done.stderr
    kernel = kernels / "my-study-2" / "kernel.json"
    assert json.loads(kernel.read_text())["display_name"] == "My Study (2)"
    before = kernel.read_bytes()
    (workplace.folder / "elsewhere").mkdir()
    done = workplace.run(*command, "elsewhere/my study 2)", "--jupyter")
    assert done.returncode == 1
    assert f"{kernel} is the kernel of another environment" in done.stderr
    assert not list((workplace.folder / "elsewhere").iterdir())
    assert kernel.read_bytes() == before


def test_a_bundle_for_another_system_is_refused_with_the_reason_for_each_target(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    workplace.bundle("solve.py", "--platform", "windows")
    done = workplace.run("bundler", "install", "solve.bundle", "env")
    assert done.returncode == 1
    assert "no target of solve.bundle runs on this machine" in done.stderr
    assert "is for Windows on x86_64" in done.stderr


def test_an_archive_and_a_publication_are_installed_like_a_bundle(
    workplace: Workplace, made: Workplace
) -> None:
    workplace.run("bundler", "pack", made.folder / "local.bundle", "-o", "a.tar")
    published = workplace.publish(made.folder / "local.bundle")
    for number, path in enumerate((Path("a.tar"), published)):
        done = workplace.run("bundler", "install", path, f"env{number}")
        assert done.returncode == 0, done.stderr
        tool = workplace.folder / f"env{number}" / "bin" / "tool"
        assert subprocess.run([tool], capture_output=True, check=True).stdout == b"tool 1.5\n"
