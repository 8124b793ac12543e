from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wheelhouse.errors import WheelhouseError
from wheelhouse.resolve.uv_settings import (
    combined,
    effective,
    faults_of,
    outer_settings,
    variables,
    write_config,
)

_PLACES = ("UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_NO_SYSTEM_CONFIG")


@pytest.fixture(autouse=True)
def _nothing_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _PLACES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_settings_of_the_user_and_the_system_count_in_this_order(tmp_path: Path) -> None:
    assert effective({}, tmp_path) == {}
    write(tmp_path / "home" / "uv" / "uv.toml", '[[index]]\nurl = "https://a:b@x.test/simple"\n')
    write(tmp_path / "system" / "uv" / "uv.toml", '[[index]]\nurl = "flat"\n')
    urls = [index["url"] for index in effective({}, tmp_path)["index"]]
    assert urls == ["https://a:b@x.test/simple", str(tmp_path / "system" / "uv" / "flat")]


@pytest.mark.parametrize("text", ["no toml", "index = 3", "\0"])
def test_a_configuration_file_that_uv_could_not_read_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "home" / "uv" / "uv.toml", text)
    with pytest.raises(WheelhouseError, match="is not a valid configuration file of uv") as caught:
        effective({}, tmp_path)
    assert str(path) in str(caught.value)


def test_a_named_configuration_file_replaces_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "uv.toml", 'resolution = "lowest"\n')
    other = write(
        tmp_path / "other.toml", 'prerelease = "allow"\nconstraint-dependencies = ["alpha<2"]\n'
    )
    monkeypatch.setenv("UV_CONFIG_FILE", str(other))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert outer_settings(tmp_path) == [{"prerelease": "allow"}]
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "missing.toml"))
    with pytest.raises(WheelhouseError, match=r"missing\.toml"):
        outer_settings(tmp_path)
    monkeypatch.delenv("UV_CONFIG_FILE")
    assert outer_settings(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"index": "x"}, "index must be a list of tables with a url"),
        ({"index": [{"name": "a"}]}, "index must be"),
        ({"index": [{"url": 3}]}, "index must be"),
        ({"index": [3]}, "index must be"),
        ({"index": [{"url": "https://x.test", "name": 3}]}, "index must be"),
        ({"index-url": 3}, "index-url must be a string"),
        ({"extra-index-url": "https://x.test"}, "extra-index-url must be a list of strings"),
        ({"find-links": 3}, "find-links must be a list of strings"),
        ({"keyring-provider": ["x"]}, "keyring-provider must be a string"),
        ({"constraint-dependencies": 3}, "constraint-dependencies must be a list"),
        ({"sources": 3}, "sources must be a table of tables"),
        ({"sources": {"a": 3}}, "sources must be"),
        ({"sources": {"a": [3]}}, "sources must be"),
        ({"sources": {"a": {"path": 3}}}, "sources must be"),
    ],
)
def test_settings_of_a_wrong_shape_are_named(settings: dict[str, Any], fault: str) -> None:
    (found,) = faults_of(settings)
    assert found.startswith(f"tool.uv.{fault}")


def test_settings_of_the_right_shape_are_uvs_business() -> None:
    assert not faults_of({})
    assert not faults_of(
        {"index": [{"url": "nonsense"}], "sources": {"a": [{"git": "x"}, {"index": "y"}]}, "odd": 3}
    )


def test_the_folder_of_an_input_and_those_above_it_have_settings_too(tmp_path: Path) -> None:
    here = tmp_path / "a" / "b"
    write(tmp_path / "pyproject.toml", '[tool.uv]\nfind-links = ["wheels"]\n')
    write(here / "pyproject.toml", '[project]\nname = "x"\n')
    assert effective({}, here) == {"find-links": [str(tmp_path / "wheels")]}
    write(tmp_path / "a" / "uv.toml", 'index = [{ url = "flat" }]\n')
    assert effective({}, here) == {"index": [{"url": str(tmp_path / "a" / "flat")}]}
    write(here / "uv.toml", "no toml")
    with pytest.raises(WheelhouseError):
        effective({}, here)


def test_only_the_first_index_of_a_name_and_the_first_default_one_are_kept(tmp_path: Path) -> None:
    write(
        tmp_path / "uv.toml",
        '[[index]]\nname = "a"\nurl = "https://z.test"\n[[index]]\nurl = "https://d.test"\ndefault = true\n',
    )
    own = {
        "index": [
            {"name": "a", "url": "https://a.test"},
            {"url": "https://b.test", "default": True},
        ]
    }
    assert [index["url"] for index in effective(own, tmp_path)["index"]] == [
        "https://a.test",
        "https://b.test",
    ]


def test_a_file_for_uv_is_for_the_user_alone_and_has_no_settings_of_projects(
    tmp_path: Path,
) -> None:
    settings = {
        "prerelease": "allow",
        "sources": {"a": {"path": "/a"}},
        "constraint-dependencies": ["a<2"],
    }
    environment = write_config(settings, tmp_path / "uv.toml")
    assert environment["UV_CONFIG_FILE"] == str(tmp_path / "uv.toml")
    assert (tmp_path / "uv.toml").stat().st_mode & 0o777 == 0o600
    assert (
        tmp_path / "uv.toml"
    ).read_text() == 'prerelease = "allow"\nconstraint-dependencies = [\n    "a<2",\n]\n'


def test_variables_that_do_not_count_do_not_reach_uv() -> None:
    kept = {
        "PATH": "/bin",
        "UV_INDEX": "x",
        "UV_INDEX_OURS_PASSWORD": "x",
        "UV_CACHE_DIR": "x",
        "UV_CONFIG_FILE": "x",
    }
    dropped = dict.fromkeys(
        ("UV_PROJECT", "UV_WORKING_DIR", "UV_FROZEN", "UV_ANYTHING", "UV_PUBLISH_TOKEN"), "x"
    )
    assert variables({**kept, **dropped}) == kept


def test_settings_are_combined_as_uv_combines_them() -> None:
    first, second = {"a": [1], "b": "x"}, {"a": [2], "b": "y", "c": 3}
    assert combined(first, second) == {"a": [1, 2], "b": "x", "c": 3}
    tables: list[dict[str, Any]] = [
        {"d": {"x": ["1"], "y": "2"}},
        {"d": {"x": ["3"], "z": "4", "y": "5"}},
    ]
    assert combined(*tables) == {"d": {"x": ["1", "3"], "y": "2", "z": "4"}}
