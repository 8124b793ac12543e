"""pip's settings are read as pip itself reads them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from wheelhouse.errors import WheelhouseError
from wheelhouse.resolve.pip_settings import read_pip_settings

_LINE = re.compile(r"(?P<section>[^.=]+)\.(?P<key>[\w-]+)=(?P<value>.*)")
FILES = {
    "system": "[global]\nindex-url = https://a.test/simple\ntimeout = 5\n[install]\nno-index = yes\n",
    "old": "[global]\nindex_url = https://old.test/simple\nproxy: http://p.test:1\n",
    "user": "[global]\n# text\nextra-index-url =\n    https://b.test\n    https://c.test\n[download]\nno-index = no\n",
    "named": "[install]\nfind-links = %(here)s/wheels\n[global]\ncert = ~/ca.pem\n",
}


def write(home: Path, names: list[str]) -> dict[str, str]:
    """Write the files `names`; return the environment variables of a user with the folder `home`."""
    places = {
        "system": home / "etc" / "pip" / "pip.conf",
        "old": home / ".pip" / "pip.conf",
        "user": home / ".config" / "pip" / "pip.conf",
        "named": home / "named.conf",
    }
    for name in names:
        places[name].parent.mkdir(parents=True, exist_ok=True)
        places[name].write_text(FILES[name])
    environment = {"XDG_CONFIG_DIRS": str(home / "etc"), "HOME": str(home)}
    return environment | ({"PIP_CONFIG_FILE": str(places["named"])} if "named" in names else {})


def of_pip(environment: dict[str, str]) -> dict[str, str]:
    """Return the settings of `pip install`, as `pip config list` prints them."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    printed = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for match in filter(None, map(_LINE.fullmatch, printed.splitlines())):
        if match["section"] in sections:
            sections[match["section"]][match["key"]] = str(ast.literal_eval(match["value"]))
    settings = {
        key: " ".join(value.split())
        for section in sections.values()
        for key, value in section.items()
        if value
    }
    return {key: value for key, value in settings.items() if key != "config-file"}


@pytest.mark.skipif(
    os.name == "nt" or sys.platform == "darwin", reason="the places of files on Linux"
)
@pytest.mark.parametrize(
    "names", [[], ["system"], ["old", "user"], ["system", "user", "named"], list(FILES)]
)
@pytest.mark.parametrize(
    "variables", [{}, {"PIP_INDEX_URL": "https://v.test", "PIP_NO_INDEX": "", "PIP_PROXY": "x"}]
)
def test_settings_are_those_that_pip_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], variables: dict[str, str]
) -> None:
    environment = {**clean_environment(tmp_path, {}), **write(tmp_path, names), **variables}
    environment.pop("XDG_CONFIG_HOME", None)
    expected = of_pip(environment)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert {key: " ".join(value.split()) for key, value in read_pip_settings().items()} == expected


def test_without_files_and_with_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in [
        name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"
    ]:
        monkeypatch.delenv(name)
    assert read_pip_settings() == {}
    (tmp_path / "broken.conf").write_text("no section\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "broken.conf"))
    with pytest.raises(
        WheelhouseError, match=r"broken\.conf: is not a valid configuration file of pip"
    ):
        read_pip_settings()
