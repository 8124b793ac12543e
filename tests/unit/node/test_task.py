from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.node import task
from bundler.node.errors import OfflineRunError


def test_what_leads_uv_and_python_astray_is_dropped(tmp_path: Path) -> None:
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
    found = task.run_environment(inherited, given, "/job")
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
        "PYTHONPATH": "/job",
    }


def test_arguments_are_words_as_for_a_shell_or_a_json_list() -> None:
    assert task.arguments("--size 3 'a b'") == ["--size", "3", "a b"]
    assert task.arguments('["C:\\\\data", 3]') == ["C:\\data", "3"]
    assert task.arguments("") == []
    for text in ("it's", "[1"):
        with pytest.raises(OfflineRunError, match="cannot be parsed"):
            task.arguments(text)


def test_output_parameters_that_are_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert task.read_output_parameters() == {}
    Path("output_parameters.json").write_text(json.dumps({"a": 1}))
    assert task.read_output_parameters() == {"a": 1}
    for text, words in (("{", "cannot be read"), ("[1]", "is not a JSON object")):
        Path("output_parameters.json").write_text(text)
        with pytest.raises(OfflineRunError, match=words):
            task.read_output_parameters()


def test_output_parameters_that_are_a_folder_or_bottomless_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("output_parameters.json").write_text("[" * 100_000)
    with pytest.raises(OfflineRunError, match="cannot be read"):
        task.read_output_parameters()
    Path("output_parameters.json").unlink()
    Path("output_parameters.json").mkdir()
    with pytest.raises(OfflineRunError, match="cannot be read"):
        task.read_output_parameters()
