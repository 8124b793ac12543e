from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from bundler import extras


class Installed:
    """An installed distribution with this direct_url.json (PEP 610)."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def read_text(self, name: str) -> str | None:
        """Return the record of where it comes from."""
        assert name == "direct_url.json"
        return self.text


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("file:///home/anna/hps%20bundler", "pip install '/home/anna/hps bundler[sbom]'"),
        ("https://git.example.com/b.zip", "'hps-bundler[sbom] @ https://git.example.com/b.zip'"),
        ("https://me:secret@example.com/b.zip", "@ https://example.com/b.zip'"),
        (None, "install the extra sbom of this tool from where you have the tool"),
    ],
)
def test_a_missing_extra_is_installed_from_where_the_tool_came_from(
    monkeypatch: pytest.MonkeyPatch, url: str | None, command: str
) -> None:
    text = json.dumps({"url": url}) if url else None
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(text))
    error = extras.missing_extra(_failed_import("/x/bundler/assessment/sbom.py"))
    assert error is not None
    assert command in error.hint
    assert "secret" not in error.hint


def test_a_tool_of_uv_is_installed_again_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "uv-receipt.toml").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    text = json.dumps({"url": "file:///src"})
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(text))
    error = extras.missing_extra(_failed_import("/x/bundler/bundles/create.py"))
    assert error is not None
    assert "uv tool install --force '/src[bundle]'" in error.hint


def test_a_missing_module_of_our_own_is_a_bug() -> None:
    assert extras.missing_extra(ModuleNotFoundError("x", name="bundler.gone")) is None


def _failed_import(path: str) -> ModuleNotFoundError:
    """Return the error of an import in the file `path`."""
    try:
        exec(compile("import cyclonedx_gone", path, "exec"))  # noqa: S102 - to have that file in its traceback
    except ModuleNotFoundError as error:
        return error
    raise AssertionError
