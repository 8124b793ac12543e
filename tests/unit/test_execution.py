from __future__ import annotations

import ast
import importlib.util
import json
import logging
import os
import re
import shlex
import stat
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.execution import archive_path, describe, render, to_json
from bundler.joining import COLLECTOR, EXEC_SCRIPT, PROBE, join
from bundler.manifest import File
from tests.conftest import started
from tests.unit.test_manifest import _SCRIPT_NAMES, manifest

NOWHERE = {"UV_CACHE_DIR": "/nowhere"}
# Holds the lock of its argument.
HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(60)
"""
EVALUATOR = Path(__file__).parents[2] / "bundler" / "templates" / "evaluator.py"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The execution script as a module, with stand-ins for what an evaluator provides."""
    program = tmp_path_factory.mktemp("program") / "exec_script.py"
    program.write_text(join(EXEC_SCRIPT))
    provided: dict[str, dict[str, object]] = {
        "ansys.rep.common.logging": {"log": logging.getLogger("evaluator")},
        "ansys.rep.evaluator.task_manager": {"ApplicationExecution": object},
    }
    names = ["ansys", "ansys.rep", "ansys.rep.common", "ansys.rep.evaluator", *provided]
    before = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(provided.get(name, {}))
    try:
        spec = importlib.util.spec_from_file_location("exec_script_template", program)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, known in before.items():
            sys.modules.pop(name)
            if known is not None:
                sys.modules[name] = known
    return module


def block(script: bytes) -> dict[str, Any]:
    """Return the value of PUBLICATION in an execution script."""
    for node in ast.parse(script).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            name = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(name, ast.Name) and name.id == "PUBLICATION":
                found: dict[str, Any] = ast.literal_eval(node.value)
                return found
    raise AssertionError


@given(_SCRIPT_NAMES, st.text(min_size=1))
def test_any_script_name_and_any_path_survive_the_way_into_the_execution_script(name: str, path: str) -> None:
    script = render(describe(manifest(script=name), path.encode("utf-8", "replace").decode()))
    assert script.isascii()
    found = block(script)
    assert list(found["scripts"]) == [name]
    assert found["path"] == path.encode("utf-8", "replace").decode()
    assert found["targets"][0]["locks"] == {name: "b" * 64}


def test_only_the_marked_block_differs_from_the_template() -> None:
    begin, end = b"# <publication>\n", b"# </publication>\n"
    rendered, template = render(describe(manifest(), "/share/x")), join(EXEC_SCRIPT).encode()
    assert rendered.split(begin)[0] == template.split(begin)[0]
    assert rendered.split(end)[1] == template.split(end)[1]


def test_the_template_shows_the_shape_that_is_filled_in() -> None:
    shown, filled = block(join(EXEC_SCRIPT).encode()), block(render(describe(manifest(), "/share/x")))
    assert list(shown) == list(filled)
    assert list(shown["targets"][0]) == list(filled["targets"][0])


def test_tools_and_archives_come_with_their_digests() -> None:
    plain = manifest()
    entry = replace(plain.targets[0], uv=plain.files[3].path, interpreter="pythons/p.tar.gz")
    files = (*plain.files, File(path="pythons/p.tar.gz", size=1, sha256="c" * 64))
    path = archive_path("solve.py", entry)
    described = describe(
        replace(plain, targets=(entry,), files=files), "/share/x", "cache", {path: "d" * 64}, "/share/y"
    )
    found = block(render(described))
    assert json.loads(to_json(described)) == found
    assert (found["path"], found["base"], found["strategy"]) == ("/share/x", "/share/y", "cache")
    (filled,) = found["targets"]
    assert filled["uv"] == ["wheels/alpha-1.0-py3-none-any.whl", "b" * 64]
    assert filled["interpreter"] == ["pythons/p.tar.gz", "c" * 64]
    assert filled["archives"] == {"solve.py": [path, "d" * 64]}


def test_an_execution_script_is_python_3_8() -> None:
    for program in (EVALUATOR.read_text(), *map(join, (EXEC_SCRIPT, PROBE, COLLECTOR))):
        ast.parse(program, feature_version=(3, 8))
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(join(EXEC_SCRIPT)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {str(name) for name in imported if not str(name).startswith("ansys.rep.")} <= sys.stdlib_module_names


def test_a_real_python_3_8_compiles_it(tmp_path: Path) -> None:
    found = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    if not found:
        pytest.skip("there is no Python 3.8 here; the syntax is checked above")
    for number, program in enumerate((EVALUATOR.read_text(), *map(join, (EXEC_SCRIPT, PROBE, COLLECTOR)))):
        copy = tmp_path / f"program{number}.py"
        copy.write_text(program)
        subprocess.run([found[0], "-m", "py_compile", copy], check=True)


def target(
    system: str = "Linux", machine: str = "x86_64", libc: Any = ("glibc", 2, 28), python: str = "3.12"
) -> dict[str, Any]:
    return {
        "folder": f"targets/{python}-{system}",
        "python": python,
        "system": system,
        "machine": machine,
        "libc": libc,
        "locks": {},
        "uv": None,
        "interpreter": None,
        "archives": {},
    }


@pytest.mark.parametrize(
    ("facts", "wanted", "reason"),
    [
        (("Linux", "x86_64", ("glibc", 2, 28)), target(), None),
        (("Linux", "x86_64", ("glibc", 2, 36)), target(), None),
        (("Linux", "x86_64", ("glibc", 2, 17)), target(), "needs glibc 2.28"),
        (("Linux", "x86_64", ("musl", 1, 2)), target(), "needs glibc 2.28"),
        (("Linux", "x86_64", ("glibc", 2, 36)), target(libc=["musl", 1, 2]), "needs musl 1.2"),
        (("Linux", "x86_64", None), target(), None),
        (("Linux", "aarch64", ("glibc", 2, 36)), target(), "is for Linux on x86_64"),
        (("Windows", "x86_64", None), target("Windows", "AMD64", None), None),
        (("Windows", "x86_64", None), target(), "is for Linux on x86_64"),
        (("Darwin", "aarch64", None), target("Darwin", "arm64", None), None),
        (("Darwin", "x86_64", None), target("Darwin", "arm64", None), "is for Darwin on aarch64"),
    ],
)
def test_a_target_fits_a_node_or_says_why_not(template: Any, facts: Any, wanted: Any, reason: str | None) -> None:
    assert template.misfit(wanted, facts) == reason


def test_a_node_that_no_target_fits_is_told_all_reasons(template: Any) -> None:
    publication = {"targets": [target(), target("Windows", "AMD64", None)]}
    with pytest.raises(
        template.OfflineRunError, match=r"Linux on x86_64 with glibc 2\.17.*needs glibc 2\.28.*is for Windows"
    ) as caught:
        template.fitting_targets(publication, ("Linux", "x86_64", ("glibc", 2, 17)))
    assert "--platform" in str(caught.value)


def uv_that_says(folder: Path, words: str, python: str = "") -> list[dict[str, str]]:
    """Return an application list with a uv of our own, which finds `python`."""
    uv = folder / "uv"
    found = shlex.quote(python)
    uv.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo '{words}' && exit\necho {found}; [ -n {found} ]\n")
    uv.chmod(0o755)
    return [{"name": "uv", "executable": str(uv)}]


def test_of_several_pythons_the_first_that_is_here_is_taken(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    here = {"3.11": sys.executable}
    monkeypatch.setattr(template, "installed_python", lambda _uv, version, _environment: here.get(version))
    publication = {"targets": [target(python="3.13"), target(python="3.11"), target(python="3.10")]}
    software = uv_that_says(tmp_path, "uv 0.13.9")
    found = template.tools(publication, "/share", software, NOWHERE, str(tmp_path / "kept"))
    assert (found[0]["python"], found[2]) == ("3.11", sys.executable)


def test_what_was_found_on_a_node_is_found_once(template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    publication = {"targets": [target()]}
    software = uv_that_says(tmp_path, "uv 0.13.9", sys.executable)
    first = template.tools(publication, "/share", software, NOWHERE, str(tmp_path / "kept"))
    monkeypatch.setattr(template, "registered_uv", lambda _software: (None, "asked"))
    assert template.tools(publication, "/share", software, NOWHERE, str(tmp_path / "kept")) == first
    (tmp_path / "uv").unlink()
    with pytest.raises(template.OfflineRunError, match="asked Or bundle the script with --include-uv"):
        template.tools(publication, "/share", software, NOWHERE, str(tmp_path / "kept"))


def test_of_jobs_that_come_at_once_one_looks_and_the_others_wait_for_it(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def slow_look(*_: object) -> dict[str, str]:
        looked.append(1)
        time.sleep(0.2)
        return {"folder": target()["folder"], "uv": sys.executable, "python": sys.executable}

    monkeypatch.setattr(template, "looked_for", slow_look)
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(template.tools, {"targets": [target()]}, "/share", [], NOWHERE, str(tmp_path)) for _ in range(8)
        ]
    assert {job.result()[1] for job in jobs} == {sys.executable}
    assert len(looked) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".turn"]


@pytest.mark.parametrize("change", ["upgraded in place", "another target"])
def test_what_was_found_counts_as_long_as_it_is_the_same(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    python = tmp_path / "python3"
    python.write_text("3.11.1")
    found = {"folder": target()["folder"], "uv": sys.executable, "python": str(python)}
    looks = []

    def look(*_: object) -> dict[str, str]:
        looks.append(1)
        return found

    monkeypatch.setattr(template, "looked_for", look)
    publication = {"targets": [target()]}
    for _ in range(2):
        template.tools(publication, "/share", [], NOWHERE, str(tmp_path / "kept"))
    assert len(looks) == 1
    if change == "upgraded in place":
        python.write_text("3.11.10")
    else:
        memory = next((tmp_path / "kept").glob("*.json"))
        memory.write_text(memory.read_text().replace(found["folder"], "targets/unknown"))
    template.tools(publication, "/share", [], NOWHERE, str(tmp_path / "kept"))
    assert len(looks) == 2


@pytest.mark.parametrize("text", ["", "[]", "null", '{"folder": 1}', "[" * 100_000, '{"identities": {}}', "\0"])
def test_a_memory_of_any_shape_is_as_none(template: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.json").write_text(text)
    assert template.remembered(str(tmp_path / "memory.json"), {"1"}) is None
    assert template.is_prepared(str(tmp_path / "memory.json")) is False


def test_what_was_half_unpacked_by_a_killed_job_is_removed_after_a_day(template: Any, tmp_path: Path) -> None:
    for name, age in ((".unpacking-old", 25 * 3600), (".unpacking-new", 0), ("kept", 25 * 3600)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    template.clear_abandoned(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unpacking-new", "kept"]


def test_a_job_that_died_in_its_turn_holds_nobody(template: Any, tmp_path: Path) -> None:
    place = str(tmp_path / "place")
    with started([sys.executable, "-c", HOLD, f"{place}.turn"]) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        with Path(f"{place}.turn").open("a+b") as lock:
            assert not template.lock_now(lock)
        job.kill()
        job.wait()
        begun = time.monotonic()
        with template.turn(place, os.path.exists):
            assert time.monotonic() - begun < template.PATIENCE / 2


def test_a_cache_on_a_shared_file_system_is_told_once_per_node(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert template.file_system("/proc/self") == "proc"
    monkeypatch.setattr(template, "file_system", lambda _folder: "nfs4")
    found = {"folder": target()["folder"], "uv": sys.executable, "python": sys.executable}
    monkeypatch.setattr(template, "looked_for", lambda *_: found)
    for _ in range(2):
        template.tools({"targets": [target()]}, "/share", [], {"UV_CACHE_DIR": "/shared/cache"}, str(tmp_path))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "/shared/cache is not on a local disk" in caplog.text


def test_a_disk_that_runs_no_programs_is_told(template: Any, tmp_path: Path) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    with pytest.raises(template.OfflineRunError, match="programs must not run from that disk"):
        template.installed_python(str(tmp_path / "uv"), "3.12", {})


def test_a_free_threaded_python_that_uv_offers_in_the_place_of_another_is_not_taken(
    template: Any, tmp_path: Path
) -> None:
    for name in ("python3.14", "python3.14t"):
        (tmp_path / name).touch()
        uv_that_says(tmp_path, "uv 0.13.9", str(tmp_path / name))
        for wanted in ("3.14", "3.14t"):
            found = template.installed_python(str(tmp_path / "uv"), wanted, {})
            assert (found is None) == (name == "python3.14t" and wanted == "3.14")


def test_a_python_that_is_nowhere_is_told(template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    publication = {"targets": [target(python="3.13"), target(python="3.12")]}
    with pytest.raises(
        template.OfflineRunError, match=r"finds no Python 3\.13 or 3\.12 on this node.*--include-python"
    ):
        template.tools(publication, "/share", uv_that_says(tmp_path, "uv 0.13.9"), NOWHERE, str(tmp_path / "kept"))


def test_the_facts_of_this_node_are_true(template: Any) -> None:
    system, machine, libc = template.node_facts()
    assert system == "Linux"
    assert machine in ("x86_64", "aarch64")
    assert libc[0] in ("glibc", "musl")


@pytest.mark.parametrize("name", ["uv", "Uv", "UV"])
def test_uv_is_found_whatever_the_case_of_its_name(template: Any, name: str, tmp_path: Path) -> None:
    (own,) = uv_that_says(tmp_path, "uv 0.6.14")
    software = [
        {"name": "Ansys Mechanical", "executable": "/x"},
        {"name": name, "executable": f'"{own["executable"]}"'},
    ]
    assert template.registered_uv(software) == (own["executable"], None)


def test_the_only_application_is_taken_for_uv(template: Any, tmp_path: Path) -> None:
    (own,) = uv_that_says(tmp_path, "uv 0.13.9 (x86_64-unknown-linux-gnu)")
    assert template.registered_uv([{**own, "name": "Astral uv"}]) == (own["executable"], None)


@pytest.mark.parametrize(
    ("software", "words"),
    [
        ([], "there are none"),
        ([{"name": "Fluent"}, {"name": "CFX"}], r"\(CFX, Fluent\).*administrator"),
        ([{"name": "uv", "executable": "/nowhere/uv"}], "does not exist on this node: /nowhere/uv"),
        ([{"name": "uv"}], "no executable is given"),
        ([{"name": "uv", "executable": None}], "no executable is given"),
    ],
)
def test_a_missing_uv_is_told_with_who_can_mend_it(template: Any, software: Any, words: str) -> None:
    uv, complaint = template.registered_uv(software)
    assert uv is None
    assert re.search(words, complaint)


def test_a_uv_that_is_too_old_or_does_not_run_is_told(template: Any, tmp_path: Path) -> None:
    assert "is 0.6.13; the administrator" in template.registered_uv(uv_that_says(tmp_path, "uv 0.6.13"))[1]
    for words in ("what?", "Python 3.11.7", "uv x.y"):
        assert "does not run on this node" in template.registered_uv(uv_that_says(tmp_path, words))[1]
    (tmp_path / "uv").chmod(0o644)
    assert (
        "does not run on this node" in template.registered_uv([{"name": "uv", "executable": str(tmp_path / "uv")}])[1]
    )


def test_what_leads_uv_and_python_astray_is_dropped(template: Any, tmp_path: Path) -> None:
    inherited = {
        "PATH": "/bin",
        "PYTHONPATH": "/evil",
        "PYTHONHOME": "/evil",
        "VIRTUAL_ENV": "/evil",
        "UV_INDEX_URL": "https://evil.test",
        "UV_LOCKED": "1",
        "LD_LIBRARY_PATH": "/bundled",
        "LD_LIBRARY_PATH_ORIG": "/site",
    }
    given = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CACHE": "1", "THREADS": 4}
    found = template.run_environment(inherited, given)
    assert found == {
        "PATH": "/bin",
        "LD_LIBRARY_PATH": "/site",
        "THREADS": "4",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(tmp_path / "cache" / "bundler" / "pycache"),
        "PYTHONPATH": str(Path.cwd()),
    }


def test_without_a_cache_that_can_be_written_the_user_gets_one_of_his_own(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "file").touch()
    folder = Path(template.cache_folder({"UV_CACHE_DIR": str(tmp_path / "file" / "cache")}))
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert template.cache_folder({}) == str(folder)


def test_a_cache_that_others_prepared_is_not_used(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = Path(template.cache_folder({}))
    folder.chmod(0o777)
    with pytest.raises(template.OfflineRunError, match="belongs to somebody else"):
        template.cache_folder({})
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(template.OfflineRunError, match="belongs to somebody else"):
        template.cache_folder({})


def test_in_a_cache_for_several_users_each_has_a_folder_of_his_own(template: Any, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    folder = Path(template.cache_folder({"UV_CACHE_DIR": str(shared)}))
    assert folder.parent == shared
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(template.OfflineRunError, match="belongs to somebody else"):
        template.cache_folder({"UV_CACHE_DIR": str(shared)})


def test_arguments_are_words_as_for_a_shell_or_a_json_list(template: Any) -> None:
    assert template.arguments("--size 3 'a b'") == ["--size", "3", "a b"]
    assert template.arguments('["C:\\\\data", 3]') == ["C:\\data", "3"]
    assert template.arguments("") == []
    for text in ("it's", "[1"):
        with pytest.raises(template.OfflineRunError, match="cannot be taken apart"):
            template.arguments(text)


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_the_exit_code_of_a_command_is_left_in_a_file_on_every_system(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    script = tmp_path / "s.py"
    script.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(int(sys.argv[1]))\n")
    for code in (0, 3):
        status = tmp_path / "status"
        monkeypatch.setattr(template.os, "name", system)
        command = template.reporting([sys.executable, str(script), str(code), "a 'b' $c"], sys.executable, str(status))
        monkeypatch.undo()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, status.read_text().strip()) == (code, str(code))
        assert done.stdout.strip() == str([str(code), "a 'b' $c"])


def test_a_command_that_is_ended_ends_what_it_runs(template: Any, tmp_path: Path) -> None:
    command = template.reporting(["sleep", "60"], sys.executable, str(tmp_path / "status"))
    with started(command) as process:
        time.sleep(0.3)
        process.terminate()
        assert process.wait(timeout=5) != 0
    assert (tmp_path / "status").read_text().strip() == "143"


def test_a_script_is_chosen_by_name_where_there_are_several(template: Any) -> None:
    several = {"scripts": {"a.py": "", "b.py": ""}}
    assert template.choose_scripts(several, {"BUNDLER_SCRIPT": "b.py"}) == ["b.py"]
    assert template.choose_scripts(several, {"BUNDLER_SCRIPT": '["b.py", "a.py"]'}) == ["b.py", "a.py"]
    assert template.choose_scripts({"scripts": {"a.py": ""}}, {}) == ["a.py"]
    for environment in (
        {},
        {"BUNDLER_SCRIPT": "c.py"},
        {"BUNDLER_SCRIPT": '["a.py", "c.py"]'},
        {"BUNDLER_SCRIPT": "[]"},
    ):
        with pytest.raises(template.OfflineRunError, match=r"holds a\.py, b\.py\. Set BUNDLER_SCRIPT"):
            template.choose_scripts(several, environment)


def test_output_parameters_that_are_none_are_refused(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert template.read_output_parameters() == {}
    Path("output_parameters.json").write_text(json.dumps({"a": 1}))
    assert template.read_output_parameters() == {"a": 1}
    for text, words in (("{", "cannot be read"), ("[1]", "is no object")):
        Path("output_parameters.json").write_text(text)
        with pytest.raises(template.OfflineRunError, match=words):
            template.read_output_parameters()


def test_output_parameters_that_are_a_folder_or_bottomless_are_refused(
    template: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("output_parameters.json").write_text("[" * 100_000)
    with pytest.raises(template.OfflineRunError, match="cannot be read"):
        template.read_output_parameters()
    Path("output_parameters.json").unlink()
    Path("output_parameters.json").mkdir()
    with pytest.raises(template.OfflineRunError, match="cannot be read"):
        template.read_output_parameters()


def test_a_file_that_was_changed_or_is_gone_is_told(template: Any, tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("x")
    with pytest.raises(template.OfflineRunError, match="was changed since it was published"):
        template.read_checked(str(tmp_path / "s.py"), "0" * 64, "the script")
    with pytest.raises(template.OfflineRunError, match="Is the share mounted"):
        template.read_checked(str(tmp_path / "gone" / "s.py"), "0" * 64, "the script")
