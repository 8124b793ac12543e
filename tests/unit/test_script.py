from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bundler.errors import CombinedError, ScriptError
from bundler.sources.additions import Additions
from bundler.sources.metadata import parse_block
from bundler.sources.reader import read_sources
from bundler.sources.script import locked_script, read_script
from wheelhouse import toml

# The reference implementation of the specification, which decides what a block is.
_REFERENCE = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"


def write(folder: Path, text: str, name: str = "solve.py") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def block(*lines: str) -> str:
    return (
        "# /// script\n" + "".join(f"# {line}\n" if line else "#\n" for line in lines) + "# ///\n"
    )


def test_a_block_gives_python_and_dependencies(tmp_path: Path) -> None:
    script = read_script(
        write(
            tmp_path, block('requires-python = ">=3.11"', "", 'dependencies = ["numpy", "rich<14"]')
        )
    )
    assert str(script.requires_python) == ">=3.11"
    assert script.dependencies == ("numpy", "rich<14")
    assert script.warnings() == []


def test_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    text = block('dependencies = ["numpy"]').replace("\n", "\r\n")
    assert read_script(write(tmp_path, text)).dependencies == ("numpy",)


def test_what_uv_does_not_read_is_refused_before_uv_sees_it(tmp_path: Path) -> None:
    text = block('dependencies = ["numpy"]')
    for variant, words in (
        (f"\ufeff{text}", "starts with a byte order mark, which hides the block from uv"),
        (text.replace("\n", "\r"), "its lines end as no system ends them"),
        (
            text.replace("script\n", "script \n"),
            "line 1 is not exactly .*\nhint: remove the spaces at its end",
        ),
        (text.replace("script\n", "script\t\n"), "line 1 is not exactly"),
        (f"x = 1\n  {text}", "line 2 is not exactly"),
        (text.replace("# /// script", "#/// script"), "line 1 is not exactly"),
        (text.replace("# ///\n", "# /// \n"), 'is not exactly "# ///"'),
        (
            f'"""Uses # /// script"""\n{text}',
            "line 1 contains .* so uv does not look for the block below it",
        ),
    ):
        with pytest.raises(ScriptError, match=words):
            read_script(write(tmp_path, variant))


@pytest.mark.parametrize(
    "before",
    [
        "\ufeff#!/usr/bin/env python\n",
        '\ufeff"""Text."""\n',
        "\n\n",
        "# /// other\n# a = 1\n# ///\n",
    ],
)
def test_what_may_come_before_a_block(tmp_path: Path, before: str) -> None:
    text = block('dependencies = ["numpy"]')
    assert read_script(write(tmp_path, f"{before}{text}")).dependencies == ("numpy",)


def test_an_empty_block_is_a_block(tmp_path: Path) -> None:
    assert read_script(write(tmp_path, "# /// script\n# ///\n")).dependencies == ()


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("dependecies", "did you mean dependencies?"),
        ("requires_python", "did you mean requires-python?"),
        ("exclude-newer", "move it into [tool.uv]: exclude-newer"),
        ("colour", "the keys are dependencies, requires-python, tool"),
    ],
)
def test_a_key_that_uv_ignores_is_a_warning(tmp_path: Path, key: str, hint: str) -> None:
    (warning,) = read_script(write(tmp_path, block(f'{key} = "2026-01-01"'))).warnings()
    assert f"the key {key} in its metadata has no effect\nhint: {hint}" in warning


def test_a_module_next_to_the_script_is_a_warning_unless_it_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "helper.py").touch()
    (tmp_path / "package").mkdir()
    body = "import os, helper\ndef f():\n    from package.part import x\n"
    body += "    import absent, solve\n    from . import y\n"
    warnings = read_script(write(tmp_path, block("dependencies = []") + body)).warnings()
    imported = [match[1] for warning in warnings if (match := re.search(r"imports (\w+)", warning))]
    assert (imported, len(warnings)) == (["helper", "package"], 2)
    assert 'inputs = ["helper.py"]' in warnings[0]
    inputs = block("[tool.bundler]", 'inputs = ["helper.py", "package/part.py"]')
    assert read_script(write(tmp_path, inputs + body)).warnings() == []
    assert (
        read_script(write(tmp_path, block("dependencies = []") + "import helper ???")).warnings()
        == []
    )
    assert read_script(write(tmp_path, block("dependencies = []") + "x = '\\d'\n")).warnings() == []


def test_the_folder_of_the_project_is_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROJECT_ROOT", raising=False)
    script = read_script(
        write(tmp_path, block('dependencies = ["alpha @ file://${PROJECT_ROOT}/alpha"]'))
    )
    assert script.wanted().dependencies == [f"alpha @ file://{tmp_path}/alpha"]


def test_the_bytes_of_the_script_are_kept_as_they_are(tmp_path: Path) -> None:
    text = block("dependencies = []").replace("\n", "\r\n") + "print('\u00e9')\r\n"
    assert read_script(write(tmp_path, text)).data == text.encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# /// script\n# dependencies = []\n", "is not closed"),
        ("# /// script\ndependencies = []\n# ///\n", "is not closed"),
        (
            block("dependencies = []") + "\n" + block("dependencies = []"),
            "2 script metadata blocks",
        ),
        ("x = 1\n" + block("dependencies = ["), "not valid TOML"),
        (
            block('requires-python = "3.12 or so"'),
            "requires-python '3.12 or so' is not a version specifier",
        ),
        (block("requires-python = 3.12"), "requires-python 3.12 is not a version specifier"),
        (block('dependencies = "numpy"'), "must be a list"),
        (block('dependencies = ["num py", "ok", "=="]'), "dependency 'num py' is invalid"),
        (block("dependencies = [1]"), "dependency 1 is invalid"),
        (block("a = " + "[" * 3000), "not valid TOML"),
        (block("a = " + "9" * 5000), "not valid TOML"),
        (block("tool = 1"), "must be tables"),
        (block("[tool]", "uv = 1"), "must be tables"),
    ],
)
def test_a_faulty_script_is_refused_with_the_fact(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(words)) as caught:
        read_script(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'solve.py'}: ")


def test_broken_toml_is_named_by_the_line_of_the_script(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="line 4 of the script"):
        read_script(
            write(tmp_path, "x = 1\n" + block("dependencies = []", "requires-python = >=3"))
        )


def test_all_faulty_dependencies_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScriptError) as caught:
        read_script(
            write(tmp_path, block('dependencies = ["a b", "c d"]', 'requires-python = "x"'))
        )
    assert all(words in str(caught.value) for words in ("'a b'", "'c d'", "'x'"))


def test_a_missing_script_a_folder_and_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    for name, words in (
        ("nowhere.py", "No such file"),
        (".", "is a folder"),
        ("latin.py", "not UTF-8"),
    ):
        with pytest.raises(ScriptError, match=words):
            read_script(tmp_path / name)


@pytest.mark.parametrize("name", ["a\\b.py", "a\nb.py", "c:d.py", "x" * 201])
def test_names_that_no_bundle_can_carry_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScriptError, match="its file name is not valid"):
        read_script(write(tmp_path, block("dependencies = []"), name))


def test_faults_of_several_scripts_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    good = block("dependencies = []")
    paths = [write(tmp_path, "no block\n"), tmp_path / "nowhere.py", write(tmp_path / "sub", good)]
    with pytest.raises(CombinedError) as caught:
        read_sources(paths, Additions())
    assert len(caught.value.errors) == 2


@pytest.mark.parametrize("names", [("a", "a.py"), ("A.py", "a.py"), ("\u00fc.py", "u\u0308.py")])
def test_scripts_that_would_make_the_same_folder_are_refused(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    paths = [write(tmp_path, block("dependencies = []"), name) for name in names]
    with pytest.raises(CombinedError, match="file names clash"):
        read_sources(paths, Additions())


def test_one_script_spelled_in_two_ways_is_one_script(tmp_path: Path) -> None:
    path = write(tmp_path, block("dependencies = []"))
    assert len(read_sources([path, tmp_path / ".." / tmp_path.name / path.name], Additions())) == 1


def test_a_secret_in_a_url_is_warned_of(tmp_path: Path) -> None:
    script = read_script(
        write(
            tmp_path,
            block('dependencies = ["alpha @ https://me:pw@x.test/alpha-1-py3-none-any.whl"]'),
        )
    )
    assert "contains a password" in script.warnings()[0]
    assert "pw" not in script.warnings()[0].replace("password", "")


def test_the_same_script_twice_is_one_script(tmp_path: Path) -> None:
    path = write(tmp_path, block("dependencies = []"))
    assert len(read_sources([path, path], Additions())) == 1


@pytest.mark.parametrize(
    ("specifier", "warned"),
    [("==3.12", True), (">=3.10,==3.12", True), ("==3.12.*", False), ("==3.12.1", False)],
)
def test_an_exact_minor_version_is_warned_of(tmp_path: Path, specifier: str, warned: bool) -> None:
    script = read_script(write(tmp_path, block(f'requires-python = "{specifier}"')))
    assert [("==3.12.*" in warning) for warning in script.warnings()] == [True] * warned


def test_relative_places_in_tool_uv_follow_the_script_into_another_folder(tmp_path: Path) -> None:
    script = read_script(
        write(
            tmp_path,
            block(
                'dependencies = ["alpha"]',
                "[tool.uv]",
                'find-links = ["links", "https://example.test/links"]',
                "[[tool.uv.index]]",
                'url = "simple"',
                "[tool.uv.sources]",
                'alpha = { path = "alpha.whl" }',
                'beta = [{ path = "b.whl", marker = "sys_platform == \'linux\'" }, { index = "x" }]',
            ),
        )
    )
    assert script.wanted().settings == {
        "find-links": [f"{tmp_path}/links", "https://example.test/links"],
        "index": [{"url": f"{tmp_path}/simple"}],
        "sources": {
            "alpha": {"path": f"{tmp_path}/alpha.whl"},
            "beta": [
                {"path": f"{tmp_path}/b.whl", "marker": "sys_platform == 'linux'"},
                {"index": "x"},
            ],
        },
    }


_LINES = st.lists(
    st.sampled_from(
        [
            "# /// script",
            "# ///",
            "#",
            "# ",
            "# a = 1",
            "#a = 1",
            "# b = 'x'",
            "a = 1",
            "",
            "# /// other",
            "#  c = 2",
        ]
    )
)


@given(_LINES)
def test_blocks_are_found_where_the_reference_expression_finds_them(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    found = [match for match in re.finditer(_REFERENCE, text) if match["type"] == "script"]
    try:
        tables = parse_block(Path("x.py"), text.encode())
    except ScriptError as fault:
        if "not valid TOML" in str(fault):
            return
        # uv looks at the first opening line only, and at nothing that follows the block in the same comment.
        assert len(found) != 1 or text[: found[0].start()].find("# /// script") != -1
    else:
        if not found:
            return  # uv accepts an empty block, and one that begins inside another one.
        content = "".join(
            line[2:] if line.startswith("# ") else line[1:]
            for line in found[0]["content"].splitlines(keepends=True)
        )
        assert tables == toml.loads(content)


@given(st.text())
def test_no_text_makes_the_parser_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(ScriptError):
        parse_block(Path("x.py"), text.encode(errors="replace"))


@pytest.mark.parametrize(
    "text", ["print(1)\n", "# /// pyproject\n# a = 1\n# ///\nimport os.path\n"]
)
def test_a_script_of_the_standard_library_needs_no_block(tmp_path: Path, text: str) -> None:
    script = locked_script(read_script(write(tmp_path, text)), Additions())
    assert script.dependencies == ()
    assert str(script.requires_python) == ""


def test_a_script_without_a_block_that_imports_packages_is_refused_with_their_names(
    tmp_path: Path,
) -> None:
    text = "import json, numpy as np\nfrom ansys.mapdl import core\nfrom . import x\n"
    script = read_script(write(tmp_path, text))
    with pytest.raises(ScriptError, match="no inline script metadata, and it imports ansys, numpy"):
        locked_script(script, Additions())
    told = locked_script(script, Additions(requirements=("numpy", "ansys-mapdl-core")))
    assert told.dependencies == ("numpy", "ansys-mapdl-core")


def test_a_module_next_to_a_script_without_a_block_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "helper.py").touch()
    script = locked_script(read_script(write(tmp_path, "import helper\n")), Additions())
    assert "imports helper from helper.py" in script.warnings()[0]
