from __future__ import annotations

import re
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bundler.node import cache, tools
from bundler.node.errors import OfflineRunError
from tests.stand_ins.descriptions import NOWHERE, publication, target


def uv_that_says(folder: Path, words: str, python: str = "") -> list[dict[str, str]]:
    """Return an application list with a uv of our own, which finds `python`."""
    uv = folder / "uv"
    found = shlex.quote(python)
    missing = "{ echo 'error: No interpreter found for it' >&2; exit 2; }"
    uv.write_text(
        f"#!/bin/sh\n[ \"$1\" = --version ] && echo '{words}' && exit\necho {found}; [ -n {found} ] || {missing}\n"
    )
    uv.chmod(0o755)
    return [{"name": "uv", "executable": str(uv)}]


def test_a_node_that_no_target_fits_is_told_all_reasons() -> None:
    described = publication(target(), target("Windows", "AMD64", None))
    with pytest.raises(
        OfflineRunError,
        match=r"Linux on x86_64 with glibc 2\.17.*needs glibc 2\.28.*is for Windows",
    ) as caught:
        tools.fitting_targets(described, ("Linux", "x86_64", ("glibc", 2, 17)))
    assert "--platform" in str(caught.value)


def test_of_several_pythons_the_first_that_is_here_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    here = {"3.11": sys.executable}
    monkeypatch.setattr(
        tools, "installed_python", lambda _uv, version, _environment: (here.get(version), b"")
    )
    described = publication(target(python="3.13"), target(python="3.11"), target(python="3.10"))
    software = uv_that_says(tmp_path, "uv 0.13.9")
    found = tools.tools(described, "/share", software, NOWHERE, str(tmp_path / "kept"))
    assert (found[0]["python"], found[2]) == ("3.11", sys.executable)


def test_what_was_found_on_a_node_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    described = publication(target())
    software = uv_that_says(tmp_path, "uv 0.13.9", sys.executable)
    first = tools.tools(described, "/share", software, NOWHERE, str(tmp_path / "kept"))
    monkeypatch.setattr(tools, "registered_uv", lambda _software: (None, ("asked", "wait")))
    assert tools.tools(described, "/share", software, NOWHERE, str(tmp_path / "kept")) == first
    (tmp_path / "uv").unlink()
    with pytest.raises(
        OfflineRunError, match="asked\nhint: wait, or bundle the script with --include-uv"
    ):
        tools.tools(described, "/share", software, NOWHERE, str(tmp_path / "kept"))


def test_of_jobs_that_come_at_once_one_looks_and_the_others_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def slow_look(*_: object) -> dict[str, str]:
        looked.append(1)
        time.sleep(0.2)
        return {"folder": target()["folder"], "uv": sys.executable, "python": sys.executable}

    monkeypatch.setattr(tools, "looked_for", slow_look)
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(tools.tools, publication(target()), "/share", [], NOWHERE, str(tmp_path))
            for _ in range(8)
        ]
    assert {job.result()[1] for job in jobs} == {sys.executable}
    assert len(looked) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".turn"]


@pytest.mark.parametrize("change", ["upgraded in place", "another target"])
def test_what_was_found_counts_as_long_as_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    python = tmp_path / "python3"
    python.write_text("3.11.1")
    found = {"folder": target()["folder"], "uv": sys.executable, "python": str(python)}
    looks = []

    def look(*_: object) -> dict[str, str]:
        looks.append(1)
        return found

    monkeypatch.setattr(tools, "looked_for", look)
    described = publication(target())
    for _ in range(2):
        tools.tools(described, "/share", [], NOWHERE, str(tmp_path / "kept"))
    assert len(looks) == 1
    if change == "upgraded in place":
        python.write_text("3.11.10")
    else:
        memory = next((tmp_path / "kept").glob("*.json"))
        memory.write_text(memory.read_text().replace(found["folder"], "targets/unknown"))
    tools.tools(described, "/share", [], NOWHERE, str(tmp_path / "kept"))
    assert len(looks) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"folder": 1}', "[" * 100_000, '{"identities": {}}', "\0"]
)
def test_a_memory_of_any_shape_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.json").write_text(text)
    assert tools.remembered(str(tmp_path / "memory.json"), {"1"}) is None


def test_a_cache_on_a_shared_file_system_is_told_once_per_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert cache.file_system("/proc/self") == "proc"
    monkeypatch.setattr(tools, "file_system", lambda _folder: "nfs4")
    found = {"folder": target()["folder"], "uv": sys.executable, "python": sys.executable}
    monkeypatch.setattr(tools, "looked_for", lambda *_: found)
    for _ in range(2):
        tools.tools(
            publication(target()), "/share", [], {"UV_CACHE_DIR": "/shared/cache"}, str(tmp_path)
        )
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "/shared/cache is not on a local disk" in caplog.text


def test_a_disk_that_runs_no_programs_is_told(tmp_path: Path) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    with pytest.raises(OfflineRunError, match="if that disk is mounted noexec"):
        tools.installed_python(str(tmp_path / "uv"), "3.12", {})


def test_a_free_threaded_python_that_uv_offers_in_the_place_of_another_is_not_taken(
    tmp_path: Path,
) -> None:
    for name in ("python3.14", "python3.14t"):
        (tmp_path / name).touch()
        uv_that_says(tmp_path, "uv 0.13.9", str(tmp_path / name))
        for wanted in ("3.14", "3.14t"):
            found, _ = tools.installed_python(str(tmp_path / "uv"), wanted, {})
            assert (found is None) == (name == "python3.14t" and wanted == "3.14")


def test_a_python_that_is_nowhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    described = publication(target(python="3.13"), target(python="3.12"))
    with pytest.raises(
        OfflineRunError, match=r"(?s)finds no Python 3\.13 or 3\.12 on this node.*--include-python"
    ):
        tools.tools(
            described,
            "/share",
            uv_that_says(tmp_path, "uv 0.13.9"),
            NOWHERE,
            str(tmp_path / "kept"),
        )


def test_a_uv_that_fails_is_not_a_missing_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "node_facts", lambda: ("Linux", "x86_64", ("glibc", 2, 28)))
    (own,) = uv_that_says(tmp_path, "uv 0.13.9")
    uv = Path(own["executable"])
    uv.write_text(
        uv.read_text().replace(
            "error: No interpreter found for it", "error: No space left on device"
        )
    )
    with pytest.raises(
        OfflineRunError,
        match=r"(?s)could not look for Python 3\.12.*No space left.*hint: free space",
    ):
        tools.tools(publication(target()), "/share", [own], NOWHERE, str(tmp_path / "kept"))


def test_a_registered_program_that_fails_is_shown_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\necho 'libfoo.so is missing' >&2\nexit 127\n")
    (tmp_path / "uv").chmod(0o755)
    _, (problem, _) = tools.registered_uv([{"name": "uv", "executable": str(tmp_path / "uv")}])
    assert problem.endswith("does not run\n  libfoo.so is missing")


@pytest.mark.parametrize("name", ["uv", "Uv", "UV"])
def test_uv_is_found_whatever_the_case_of_its_name(name: str, tmp_path: Path) -> None:
    (own,) = uv_that_says(tmp_path, "uv 0.6.14")
    software = [
        {"name": "Ansys Mechanical", "executable": "/x"},
        {"name": name, "executable": f'"{own["executable"]}"'},
    ]
    assert tools.registered_uv(software) == (own["executable"], ("", ""))


def test_the_only_application_is_taken_for_uv(tmp_path: Path) -> None:
    (own,) = uv_that_says(tmp_path, "uv 0.13.9 (x86_64-unknown-linux-gnu)")
    assert tools.registered_uv([{**own, "name": "Astral uv"}]) == (own["executable"], ("", ""))


@pytest.mark.parametrize(
    ("software", "words"),
    [
        ([], "there are none"),
        ([{"name": "Fluent"}, {"name": "CFX"}], r"\(CFX, Fluent\); .*administrator"),
        ([{"name": "uv", "executable": "/nowhere/uv"}], "does not exist: /nowhere/uv"),
        ([{"name": "uv"}], "no executable is given"),
        ([{"name": "uv", "executable": None}], "no executable is given"),
    ],
)
def test_a_missing_uv_is_told_with_who_can_fix_it(software: Any, words: str) -> None:
    uv, complaint = tools.registered_uv(software)
    assert uv is None
    assert re.search(words, "; ".join(complaint))


def test_a_uv_that_is_too_old_or_does_not_run_is_told(tmp_path: Path) -> None:
    assert "uv 0.6.13 is too old" in tools.registered_uv(uv_that_says(tmp_path, "uv 0.6.13"))[1][0]
    for words in ("what?", "Python 3.11.7", "uv x.y"):
        assert "does not run" in tools.registered_uv(uv_that_says(tmp_path, words))[1][0]
    (tmp_path / "uv").chmod(0o644)
    assert (
        "does not run"
        in tools.registered_uv([{"name": "uv", "executable": str(tmp_path / "uv")}])[1][0]
    )


def test_of_several_registered_versions_the_first_that_can_be_used_is_taken(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("old", "new", "newer")]
    software: list[Any] = [{"name": "uv", "executable": "/nowhere/uv"}]
    for folder, version in zip(folders, ("0.6.13", "0.11.1", "0.12.0"), strict=True):
        folder.mkdir()
        software += uv_that_says(folder, f"uv {version}")
    assert tools.registered_uv(software) == (str(folders[1] / "uv"), ("", ""))
    assert "does not exist" in tools.registered_uv(software[:2])[1][0]


def test_an_executable_may_be_a_bare_name_on_the_path_or_have_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own,) = uv_that_says(tmp_path, "uv 0.13.9")
    path = own["executable"]
    monkeypatch.setenv("PATH", str(tmp_path))
    for executable in (path, f'"{path}"', f"{path} run --offline", f'"{path}" run', "uv", "uv run"):
        assert tools.program_of(executable) == path, executable
    assert tools.program_of("absent") == "absent"
    assert tools.program_of("it's") == "it's"
    assert tools.program_of("") == ""
