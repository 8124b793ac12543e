"""What `bundle` writes, `verify`, `publish-index` and `rehearse` accept: for random sets of scripts, files and tags."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.conftest import PYTHON, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_wheel

_SHORT = PYTHON.replace(".", "")
_TAGS = (
    "py3-none-any",
    f"cp{_SHORT}-cp{_SHORT}-manylinux_2_17_x86_64",
    f"cp{_SHORT}-abi3-manylinux_2_28_x86_64",
)
_VERSIONS = ("1.0", "1.0+cpu", "2.0", "2.0.post1")
_BUILDS = ("", "1-", "9-", "141-")
# Names that modules of the standard library or other scripts have, too.
_NAMES = ("solve.py", "statistics.py", "a b.py", "json.py", "solve.test.py")
_BODY = """
import importlib.metadata
names = {names!r}
found = {{name: importlib.metadata.version(name) for name in names}}
texts = {{name: __import__(name).text for name in names}}
if not __file__.endswith(("json.py", "statistics.py")):
    import json, statistics
    json.dumps(statistics.mean([1, 3]))
print("got", found, texts)
"""


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Return files of an index, and scripts with exact requirements, each of which some file satisfies."""
    files = {}
    for name in ("alpha", "beta"):
        for version in draw(st.sets(st.sampled_from(_VERSIONS), min_size=1)):
            for tag in draw(st.sets(st.sampled_from(_TAGS), min_size=1, max_size=2)):
                build = draw(st.sampled_from(_BUILDS))
                files[f"{name}-{version}-{build}{tag}.whl"] = (name, version)
    scripts = {}
    for script in draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3, unique=True)):
        wanted = draw(
            st.lists(
                st.sampled_from(sorted(set(files.values()))),
                max_size=2,
                unique_by=lambda pair: pair[0],
            )
        )
        scripts[script] = dict(wanted)
    return {"files": files, "scripts": scripts}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving(Index()) as index:
        yield workplace_in(tmp_path_factory.mktemp("any"), index)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(contents())
def test_any_set_of_scripts_files_and_tags_is_bundled_verified_published_and_run(
    place: Workplace, made: dict[str, Any]
) -> None:
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    shutil.rmtree(place.folder.parent / "home" / ".cache", ignore_errors=True)
    place.index.files.clear()
    for filename, (name, version) in made["files"].items():
        _, data = make_wheel(name, version, files={f"{name}.py": f"text = {filename!r}".encode()})
        place.index.add((filename, data))
    for script, wanted in made["scripts"].items():
        pins = [f"{name}==={version}" for name, version in wanted.items()]
        place.script(script, *pins, body=_BODY.format(names=sorted(wanted)))
    bundle = place.bundle(*made["scripts"], "-o", "it.bundle")
    assert place.run("bundler", "verify", bundle).returncode == 0
    publication = place.publish(bundle)
    done = place.run("bundler", "rehearse", publication)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("got ")]
    assert len(lines) == len(made["scripts"])
    for line, (_, wanted) in zip(lines, made["scripts"].items(), strict=True):
        assert all(f"{name!r}: {version!r}" in line for name, version in wanted.items())
