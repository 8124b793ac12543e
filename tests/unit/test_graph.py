"""The dependency graph of a script on a target."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.requirements import Requirement

from bundler.assessment.contents import Contents
from bundler.assessment.graph import dependencies
from bundler.assessment.licence import Licence
from tests.stand_ins.manifests import manifest


def wheel(project: str, *requires: str, version: str = "1.0") -> Contents:
    return Contents(
        filename=f"{project}-{version}-py3-none-any.whl",
        licence=Licence(),
        requires=tuple(map(Requirement, requires)),
        native=(),
        parts=(),
    )


def graph(script: tuple[str, ...], *wheels: Contents) -> tuple[set[str], dict[str, set[str]]]:
    made = manifest()
    direct, edges = dependencies(
        replace(made.scripts[0], dependencies=script), made.targets[0], wheels
    )
    return names(direct), {
        name.partition("-1.0")[0]: names(needed) for name, needed in edges.items() if needed
    }


def names(filenames: set[str]) -> set[str]:
    """Return the names of wheels of version 1.0 without what all of them share."""
    return {name.removesuffix("-py3-none-any.whl").removesuffix("-1.0") for name in filenames}


def test_of_several_versions_of_a_project_those_that_are_allowed_are_meant() -> None:
    versions = [wheel("beta"), wheel("beta", "gamma", version="2.0"), wheel("gamma")]
    _, edges = graph(("alpha",), wheel("alpha", "beta<2"), *versions)
    assert edges == {"alpha": {"beta"}}
    _, edges = graph(("alpha",), wheel("alpha", "beta"), *versions)
    assert edges == {"alpha": {"beta", "beta-2.0"}, "beta-2.0-py3-none-any.whl": {"gamma"}}
    _, edges = graph(("alpha",), wheel("alpha", "beta>5"), *versions)
    assert edges["alpha"] == {"beta", "beta-2.0"}, "an override"


def test_the_graph_starts_at_the_script() -> None:
    assert graph(("alpha",), wheel("alpha", "Beta.X>=1"), wheel("beta_x")) == (
        {"alpha"},
        {"alpha": {"beta_x"}},
    )


@pytest.mark.parametrize(
    ("marker", "applies"),
    [
        ("python_version >= '3.12'", True),
        ("python_version < '3.12'", False),
        ("python_full_version >= '3.12.3'", True),
        ("sys_platform == 'win32'", False),
        ("platform_machine == 'x86_64'", True),
        ("extra == 'more'", False),
    ],
)
def test_markers_are_those_of_the_target(marker: str, applies: bool) -> None:
    _, edges = graph(("alpha",), wheel("alpha", f"beta; {marker}"), wheel("beta"))
    assert edges == ({"alpha": {"beta"}} if applies else {})


def test_extras_count_where_they_are_requested_also_from_each_other() -> None:
    alpha = wheel(
        "alpha",
        "beta; extra == 'All_More'",
        "alpha[two]; extra == 'all-more'",
        "gamma; extra == 'two'",
    )
    _, edges = graph(("alpha[all.more]",), alpha, wheel("beta"), wheel("gamma"))
    assert edges == {"alpha": {"alpha", "beta", "gamma"}}


def test_circles_end_and_what_is_not_installed_is_no_edge() -> None:
    direct, edges = graph(
        ("alpha", "missing"), wheel("alpha", "beta", "missing"), wheel("beta", "alpha")
    )
    assert (direct, edges) == ({"alpha"}, {"alpha": {"beta"}, "beta": {"alpha"}})


def test_a_dependency_that_is_not_one_is_ignored() -> None:
    assert graph(("alpha", "!"), wheel("alpha"))[0] == {"alpha"}


@pytest.mark.parametrize(
    "marker",
    ["python_version < '999" + "9" * 5000 + "'", "'3' > 'x'", "platform_version ~= 'x'"],
    ids=["long", "texts", "version"],
)
def test_a_marker_that_cannot_be_evaluated_counts(marker: str) -> None:
    _, edges = graph(("alpha",), wheel("alpha", f"beta; {marker}"), wheel("beta"))
    assert edges == {"alpha": {"beta"}}
