from __future__ import annotations

from typing import Any

import pytest

from wheelhouse.build.build_settings import BuildSettings, build_settings, is_forbidden, is_required
from wheelhouse.errors import BuildError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "NO_BUILD",
        "NO_BUILD_PACKAGE",
        "NO_BINARY",
        "NO_BINARY_PACKAGE",
        "NO_BUILD_ISOLATION",
    ):
        monkeypatch.delenv(f"UV_{name}", raising=False)


def test_without_settings_a_build_is_isolated_and_has_the_key_of_before() -> None:
    assert build_settings("lib", {}, {"lib": "1.0", "numpy": "2.0"}) == BuildSettings()
    assert BuildSettings().key() == ""
    assert build_settings("lib", {"index-url": "https://x.test"}, {}).key() == "", (
        "an index is no part of the result"
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"build-constraint-dependencies": ["a<2"]}, {"constraints": ("a<2",)}),
        (
            {"extra-build-dependencies": {"My.Lib": ["a", {"requirement": "b>1"}]}},
            {"requirements": ("a", "b>1")},
        ),
        (
            {
                "extra-build-dependencies": {
                    "my-lib": [{"requirement": "numpy", "match-runtime": True}]
                }
            },
            {"requirements": ("numpy==2.0",)},
        ),
        (
            {"extra-build-variables": {"my_lib": {"A": "1"}, "other": {"B": "2"}}},
            {"variables": {"A": "1"}},
        ),
        (
            {
                "config-settings": {"a": "1", "b": "2"},
                "config-settings-package": {"my-lib": {"a": "3"}},
            },
            {"config_settings": {"a": "3", "b": "2"}},
        ),
        ({"no-build-isolation": True}, {"environment": ("numpy==2.0",)}),
        ({"no-build-isolation-package": ["My_Lib"]}, {"environment": ("numpy==2.0",)}),
        ({"no-build-isolation-package": ["other"]}, {}),
    ],
)
def test_each_setting_is_applied_to_the_projects_that_it_names(
    settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = build_settings("my-lib", settings, {"numpy": "2.0", "my-lib": "1.0"})
    assert found == BuildSettings(config=settings, **expected)
    assert (found.key() == "") == (expected == {})


def test_a_build_that_needs_the_version_of_an_absent_project_is_refused() -> None:
    settings = {
        "extra-build-dependencies": {"lib": [{"requirement": "torch", "match-runtime": True}]}
    }
    with pytest.raises(
        BuildError, match="needs the installed version of torch, which is not installed"
    ):
        build_settings("lib", settings, {})


def test_what_may_and_must_be_built_is_set_in_files_and_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not is_forbidden("lib", {})
    assert is_forbidden("lib", {"no-build": True})
    assert is_forbidden("lib", {"no-build-package": ["Lib"]})
    assert not is_required("lib", {"no-binary-package": ["other"]})
    assert is_required("lib", {"no-binary-package": ["LIB"]})
    monkeypatch.setenv("UV_NO_BINARY_PACKAGE", "other lib")
    assert is_required("lib", {})
    monkeypatch.setenv("UV_NO_BUILD", "false")
    assert not is_forbidden("lib", {"no-build": True}), "a variable has precedence"
    monkeypatch.setenv("UV_NO_BUILD_ISOLATION", "1")
    assert build_settings("lib", {}, {}).environment == ()
