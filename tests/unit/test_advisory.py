"""Which versions an advisory is about."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from packaging.version import Version

from bundler.assessment.advisory import Advisory, advisories_of
from tests.stand_ins.osv import Record, matches, record

PARTS = st.integers(0, 4)
VERSIONS = st.builds(
    lambda major, minor, rest: f"{major}.{minor}{rest}",
    PARTS,
    PARTS,
    st.sampled_from(["", "rc1", ".post1", ".dev2"]),
)

TWICE = [("introduced", "0"), ("fixed", "1.0"), ("introduced", "2.0"), ("fixed", "2.1")]


def one(*arguments: object, **more: object) -> Advisory:
    (advisory,) = advisories_of(record("X-1", "alpha", *arguments, **more))  # type: ignore[arg-type]
    return advisory


@pytest.mark.parametrize(
    ("events", "affected", "others"),
    [
        (
            [("introduced", "0"), ("fixed", "2.0")],
            ["0.1", "1.9", "2.0rc1"],
            ["2.0", "2.0.post1", "3.0"],
        ),
        (
            [("introduced", "1.0"), ("last_affected", "1.5")],
            ["1.0", "1.5", "1.5.0"],
            ["0.9", "1.0rc1", "1.5.1"],
        ),
        ([("introduced", "1.0")], ["1.0", "99"], ["0.9"]),
        (
            [("introduced", "0"), ("fixed", "1.0"), ("introduced", "2.0"), ("fixed", "2.1")],
            ["0", "2.0"],
            ["1.5", "2.1"],
        ),
        (
            [("fixed", "2.1"), ("introduced", "2.0"), ("fixed", "1.0"), ("introduced", "0")],
            ["0", "2.0"],
            ["1.5", "2.1"],
        ),
        ([("introduced", "not a version"), ("fixed", "2.0")], ["1.0"], ["2.0"]),
        ([("introduced", "1.0"), ("fixed", "not a version")], ["1.0", "2.0"], ["0.9"]),
        ([("introduced", "0"), ("limit", "1.0"), ("limit", "3.0")], ["0.5", "2.0"], ["3.0", "4.0"]),
        ([("introduced", "0"), ("limit", "1.0"), ("limit", "*")], ["0.5", "2.0", "9.0"], []),
        (
            [("limit", "2.0"), ("introduced", "1.0"), ("fixed", "1.5")],
            ["1.0"],
            ["0.9", "1.5", "2.0"],
        ),
    ],
)
def test_the_events_of_a_range_say_what_is_vulnerable(
    events: list[tuple[str, str]], affected: list[str], others: list[str]
) -> None:
    advisory = one(events)
    assert [
        version for version in [*affected, *others] if advisory.affects(Version(version))
    ] == affected


def test_listed_versions_count_as_well_as_ranges_and_either_may_be_incomplete() -> None:
    advisory = one([("introduced", "2.0"), ("fixed", "2.1")], versions=["1.0.0", "one"])
    assert [text for text in ("1.0", "1.1", "2.0.5", "2.1") if advisory.affects(Version(text))] == [
        "1.0",
        "2.0.5",
    ]


def test_the_local_part_of_a_version_only_matters_if_it_is_listed() -> None:
    assert one(versions=["2.0+cu118"]).affects(Version("2.0+cu118"))
    assert not one(versions=["2.0+cu118"]).affects(Version("2.0+cpu"))
    assert not one(versions=["2.0+cu118"]).affects(Version("2.0"))
    assert one(versions=["2.1.0"]).affects(Version("2.1.0+cpu"))
    assert not one([("introduced", "0"), ("fixed", "2.1.0")]).affects(Version("2.1.0+cpu"))


def test_ranges_of_git_commits_and_other_ecosystems_are_left_out() -> None:
    stated = record("X-1", "alpha", [("introduced", "0")])
    stated["affected"][0]["ranges"][0]["type"] = "GIT"
    (advisory,) = advisories_of(stated)
    assert not advisory.affects(Version("1.0"))
    stated["affected"][0]["package"]["ecosystem"] = "npm"
    assert not list(advisories_of(stated))


@pytest.mark.parametrize(
    ("withdrawn", "counts"),
    [
        ("2026-01-01T00:00:00Z", False),
        ("2999-01-01T00:00:00Z", True),
        (None, True),
        ("null", True),
        ("~", True),
    ],
)
def test_a_withdrawn_advisory_is_none_from_then_on(withdrawn: str | None, counts: bool) -> None:
    stated = record("X-1", "alpha", [("introduced", "0")], withdrawn=withdrawn)
    assert bool(list(advisories_of(stated))) is counts


def test_what_is_null_is_absent() -> None:
    absent = dict.fromkeys(("aliases", "summary", "details", "published", "severity", "withdrawn"))
    stated = record("X-1", "alpha", versions=["1.0"], **absent)
    stated["affected"][0] |= dict.fromkeys(("ranges", "severity", "database_specific"))
    stated["affected"].append({"package": None, "versions": None})
    (advisory,) = advisories_of(stated)
    assert advisory.affects(Version("1.0"))


def test_a_project_is_known_by_its_name_or_its_package_url() -> None:
    stated = record("X-1", "alpha", versions=["1.0"])
    for package in ({"ecosystem": "pypi", "name": "Al.pha"}, {"purl": "pkg:pypi/al-pha@1.0"}):
        stated["affected"][0]["package"] = package
        (advisory,) = advisories_of(stated)
        assert advisory.project == "al-pha"


def test_several_entries_about_a_project_are_one_advisory_and_its_name_is_normalized() -> None:
    stated = record("X-1", "Alpha.B_c", versions=["1.0"])
    stated["affected"] += record("X-1", "alpha-b-c", versions=["2.0"])["affected"]
    stated["affected"] += record("X-1", "beta", versions=["3.0"])["affected"]
    alpha, beta = advisories_of(stated)
    assert (alpha.project, beta.project) == ("alpha-b-c", "beta")
    assert alpha.versions == {Version("1.0"), Version("2.0")}


def test_the_fix_is_that_of_the_range_with_the_version() -> None:
    advisory = one(
        [("introduced", "0"), ("fixed", "1.5")], [("introduced", "2.0"), ("fixed", "2.3")]
    )
    assert advisory.fixes(Version("1.2")) == [Version("1.5")]
    assert advisory.fixes(Version("2.2")) == [Version("2.3")]
    assert one(versions=["1.0"]).fixes(Version("1.0")) == []


@st.composite
def ranges(draw: st.DrawFn) -> list[tuple[str, str]]:
    bounds = sorted(draw(st.sets(VERSIONS.map(Version), min_size=1, max_size=5)))
    kinds = ["introduced", draw(st.sampled_from(["fixed", "last_affected"]))]
    events = [(kinds[number % 2], str(bound)) for number, bound in enumerate(bounds)]
    return [("introduced", "0"), *events[1:]] if draw(st.booleans()) else events


@given(st.lists(ranges(), max_size=3), st.lists(VERSIONS, max_size=3), VERSIONS)
def test_an_independent_comparison_agrees(
    stated: list[list[tuple[str, str]]], versions: list[str], version: str
) -> None:
    entry: Record = record("X-1", "alpha", *stated, versions=versions)
    (advisory,) = advisories_of(entry)
    assert advisory.affects(Version(version)) == matches(entry, "alpha", version)


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"id": 1},
        {"id": "X", "affected": [{"package": {"ecosystem": "PyPI"}}]},
        {"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": [1]}]},
        {"id": "X", "affected": 5},
        {
            "id": "X",
            "affected": [
                {"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": [{"events": ["x"]}]}
            ],
        },
        {"id": "X", "aliases": [{}], "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}]},
        {
            "id": "X",
            "aliases": "CVE-1",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}],
        },
        {"id": "X\x1b]0;a\x07", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}]},
        {"id": "X\ud800", "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}]},
        {"id": "X", "withdrawn": "yes", "affected": []},
    ],
)
def test_a_malformed_record_is_an_expected_error(stated: Record) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        list(advisories_of(stated))


def test_a_long_summary_with_control_characters_is_made_fit_for_a_table() -> None:
    advisory = one(versions=["1.0"], summary="\n\x1b[31m" + "x" * 500 + "\nmore")
    assert advisory.summary == f"[31m{'x' * 196}..."
