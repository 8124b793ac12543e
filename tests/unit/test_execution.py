from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bundler.manifest import File
from bundler.publications.execution import archive_path, describe, render, to_json
from bundler.publications.program import BATCH, COLLECTOR, DIRECT, JOB, PROBE, join
from tests.stand_ins.manifests import SCRIPT_NAMES, manifest

EVALUATOR = Path(__file__).parents[2] / "bundler" / "templates" / "evaluator.py"


def block(script: bytes) -> dict[str, Any]:
    """Return the value of PUBLICATION in an execution script."""
    for node in ast.parse(script).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            name = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(name, ast.Name) and name.id == "PUBLICATION":
                found: dict[str, Any] = ast.literal_eval(node.value)
                return found
    raise AssertionError


@given(SCRIPT_NAMES, st.text(min_size=1))
def test_any_script_name_and_any_path_survive_the_way_into_the_execution_script(
    name: str, path: str
) -> None:
    script = render(describe(manifest(script=name), path.encode("utf-8", "replace").decode()))
    assert script.isascii()
    found = block(script)
    assert list(found["scripts"]) == [name]
    assert found["path"] == path.encode("utf-8", "replace").decode()
    assert found["targets"][0]["locks"] == {name: "b" * 64}


def test_only_the_marked_block_differs_from_the_template() -> None:
    begin, end = b"# <publication>\n", b"# </publication>\n"
    rendered, template = render(describe(manifest(), "/share/x")), join(JOB).encode()
    assert rendered.split(begin)[0] == template.split(begin)[0]
    assert rendered.split(end)[1] == template.split(end)[1]


def test_the_template_shows_the_shape_that_is_filled_in() -> None:
    shown, filled = block(join(JOB).encode()), block(render(describe(manifest(), "/share/x")))
    assert list(shown) == list(filled)
    assert list(shown["targets"][0]) == list(filled["targets"][0])


def test_tools_and_archives_come_with_their_digests() -> None:
    plain = manifest()
    entry = replace(plain.targets[0], uv=plain.files[3].path, interpreter="pythons/p.tar.gz")
    files = (*plain.files, File(path="pythons/p.tar.gz", size=1, sha256="c" * 64))
    path = archive_path("solve.py", entry)
    described = describe(
        replace(plain, targets=(entry,), files=files),
        "/share/x",
        "cache",
        {path: "d" * 64},
        "/share/y",
    )
    found = block(render(described))
    assert json.loads(to_json(described)) == found
    assert (found["path"], found["base"], found["strategy"]) == ("/share/x", "/share/y", "cache")
    (filled,) = found["targets"]
    assert filled["uv"] == ["wheels/alpha-1.0-py3-none-any.whl", "b" * 64]
    assert filled["interpreter"] == ["pythons/p.tar.gz", "c" * 64]
    assert filled["archives"] == {"solve.py": [path, "d" * 64]}


@pytest.mark.parametrize(
    "modules",
    [JOB, DIRECT, BATCH, PROBE, COLLECTOR],
    ids=["job", "direct", "batch", "probe", "collector"],
)
def test_a_joined_program_defines_each_name_once(modules: tuple[str, ...]) -> None:
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [node.name for node in ast.parse(join(modules)).body if isinstance(node, kinds)]
    assert len(names) == len(set(names))


def test_an_execution_script_is_python_3_8() -> None:
    for program in (EVALUATOR.read_text(), *map(join, (JOB, DIRECT, BATCH, PROBE, COLLECTOR))):
        ast.parse(program, feature_version=(3, 8))
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(join(JOB)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    of_others = {
        name for name in map(str, imported) if name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert {name.partition(".")[0] for name in of_others} == {"ansys"}


def test_a_real_python_3_8_compiles_it(tmp_path: Path) -> None:
    found = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    if not found:
        pytest.skip("there is not a Python 3.8 here; the syntax is checked above")
    for number, program in enumerate(
        (EVALUATOR.read_text(), *map(join, (JOB, DIRECT, BATCH, PROBE, COLLECTOR)))
    ):
        copy = tmp_path / f"program{number}.py"
        copy.write_text(program)
        subprocess.run([found[0], "-m", "py_compile", copy], check=True)
