"""Pythons that are no plain CPython, where this machine has one: `apt-get install pypy3`, `uv python install 3.14t`."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bundler.manifest_reader import read_manifest
from tests.conftest import BIN, Workplace
from tests.stand_ins.nodes import evaluate
from tests.stand_ins.sources import source_sdist
from tests.stand_ins.wheels import make_wheel
from wheelhouse.python_request import PythonRequest, parse_python_request
from wheelhouse.target import Target, this_platform

_ASK = """
import platform, sys, sysconfig
print("pypy" * (sys.implementation.name == "pypy") + platform.python_version()
      + "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
"""


def found(name: str) -> PythonRequest:
    """Return the runtime of the interpreter on the PATH that `name` means, or skip."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here")
    done = subprocess.run([path, "-I", "-c", _ASK], capture_output=True, text=True, check=True)
    return parse_python_request(done.stdout.strip())


@pytest.fixture(params=["python3.13t", "python3.14t", "pypy3"])
def runtime(request: pytest.FixtureRequest) -> PythonRequest:
    return found(request.param)


def test_a_job_gets_the_wheels_of_its_runtime_and_no_others(
    workplace: Workplace, runtime: PythonRequest
) -> None:
    tags = list(map(str, Target(python=str(runtime), platform=this_platform()).tags))
    compiled = [tag for tag in tags if tag.split("-")[1] not in ("none", "abi3t")]
    minor = runtime.minor.replace(".", "")
    for tag in (compiled[0], f"cp{minor}-cp{minor}-{compiled[0].split('-')[2]}", "cp39-abi3-any"):
        workplace.index.add(
            make_wheel("alpha", tag=tag, files={"alpha.py": f"tag = {tag!r}\n".encode()})
        )
    workplace.index.add(make_wheel("beta"))
    workplace.index.add(make_wheel("gamma"))
    body = "import sys, alpha\nprint('got', alpha.tag, sys.implementation.name, sys.version_info[:3])\n"
    wanted = f"beta; platform_python_implementation == '{'CPython' if runtime.implementation == 'cpython' else 'PyPy'}'"
    other = "gamma; implementation_name == 'jython'"
    workplace.script("solve.py", "alpha", wanted, other, body=body)
    done = workplace.run("bundle", "solve.py", "--python", str(runtime.series))
    assert done.returncode == 0, done.stderr
    wheels = sorted(path.name for path in (workplace.folder / "solve.bundle" / "wheels").iterdir())
    assert wheels == [f"alpha-1.0-{compiled[0]}.whl", "beta-1.0-py3-none-any.whl"]
    publication = workplace.publish()
    done, _ = evaluate(workplace, publication)
    release = tuple(map(int, runtime.version.split(".")))
    assert f"got {compiled[0]} {runtime.implementation} {release}" in done.stdout, done.stderr
    facts = workplace.folder / "node.json"
    facts.write_text(workplace.run("bundler", "probe").stdout)
    assert workplace.run("bundler", "check", publication, "--probe", facts).returncode == 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler here")
def test_what_has_no_wheel_for_a_free_threaded_python_is_built_with_it(
    workplace: Workplace,
) -> None:
    runtime = found("python3.13t")
    workplace.index.add(source_sdist("fast", compiled=True))
    workplace.script("solve.py", "fast", body="import fast\nprint('answer', fast.answer())\n")
    done = workplace.run("bundle", "solve.py", "--python", str(runtime.series), "--build", "fast")
    assert done.returncode == 0, done.stderr
    done, _ = evaluate(workplace, workplace.publish())
    assert "answer 42" in done.stdout, done.stderr


def test_a_free_threaded_python_is_packed_and_carried(workplace: Workplace) -> None:
    runtime = found("python3.13t")
    python = Path(str(shutil.which("python3.13t")))
    done = workplace.run("bundler", "pack-python", python, "mirror")
    assert "+freethreaded-" in done.stdout, done.stderr
    (entry,) = json.loads((workplace.folder / "mirror" / "downloads.json").read_text()).values()
    assert entry["variant"] == "freethreaded"
    workplace.index.add(make_wheel("alpha"))
    body = (
        "import sysconfig, alpha\nprint('threads', sysconfig.get_config_var('Py_GIL_DISABLED'))\n"
    )
    workplace.script("solve.py", "alpha", body=body)
    options = [
        "--platform",
        f"x86_64-manylinux_2_{max(entry['glibc'], 36)}",
        "--python-mirror",
        "mirror",
    ]
    assert (
        workplace.run("bundle", "solve.py", "--python", runtime.minor, *options).returncode == 1
    ), "it is another one"
    done = workplace.run("bundle", "solve.py", "--python", str(runtime.series), *options)
    assert done.returncode == 0, done.stderr
    for strategy in ("index", "environment"):
        done = workplace.run("publish-index", strategy, "solve.bundle", "--strategy", strategy)
        assert done.returncode == 0, done.stderr
        publication = Path(done.stdout.strip())
        # Where the node has none.
        workplace.environment["PATH"] = os.pathsep.join([str(BIN), "/usr/bin", "/bin"])
        done, _ = evaluate(workplace, publication)
        assert "threads 1" in done.stdout, done.stderr
        workplace.environment["PATH"] = os.pathsep.join([str(BIN), os.environ["PATH"]])


def test_pypy_is_not_carried_and_not_packed(workplace: Workplace) -> None:
    workplace.script("solve.py")
    done = workplace.run("bundle", "solve.py", "--python", "pypy3.10", "--include-python")
    assert done.returncode == 1
    assert "PyPy cannot be included in a bundle" in done.stderr
    python = shutil.which("pypy3")
    if python:
        done = workplace.run("bundler", "pack-python", python, "mirror")
        assert (done.returncode, "only CPython can be packed" in done.stderr) == (1, True)


def test_a_python_with_other_bytes_in_the_mirror_is_taken_and_versions_are_kept(
    workplace: Workplace, mirror: Path
) -> None:
    shutil.copytree(mirror, workplace.folder / "mirror")
    workplace.index.add(make_wheel("alpha", "1.0"))
    workplace.script("solve.py", "alpha")
    options = ("--include-python", "--python-mirror", "mirror")
    workplace.bundle("solve.py", *options)
    (archive,) = (workplace.folder / "mirror").glob("*.tar.gz")
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()), 1, mtime=1))
    listed = workplace.folder / "mirror" / "downloads.json"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    listed.write_text(
        re.sub(r'"sha256": "[0-9a-f]{64}"', f'"sha256": "{digest}"', listed.read_text())
    )
    workplace.index.add(make_wheel("alpha", "2.0"))
    bundle = workplace.bundle("solve.py", *options)
    manifest = read_manifest(bundle)
    (interpreter,) = [
        file for file in manifest.files if file.path == manifest.targets[0].interpreter
    ]
    assert interpreter.sha256 == digest
    assert (bundle / "wheels" / "alpha-1.0-py3-none-any.whl").is_file()
