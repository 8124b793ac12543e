"""What wheels declare as their licence, in old and new ways."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from packaging.metadata import parse_email

from bundler.assessment.licence import Licence, licence_of


def read(*headers: str) -> Licence:
    return licence_of(
        parse_email("\n".join(["Metadata-Version: 2.4", "Name: a", "Version: 1", *headers]))[0]
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["License-Expression: mit or apache-2.0"], Licence("MIT OR Apache-2.0")),
        (["License-Expression: MIT", "License: something else"], Licence("MIT")),
        (["License-Expression: LicenseRef-Own"], Licence("LicenseRef-Own")),
        (["License-Expression: none of these"], Licence(texts=("none of these",))),
        (["License: MIT"], Licence(texts=("MIT",))),
        (["License: UNKNOWN"], Licence()),
        ([], Licence()),
        (
            [
                "License: BSD",
                "Classifier: License :: OSI Approved :: BSD License",
                "Classifier: Topic :: Games",
            ],
            Licence(texts=("BSD", "BSD License")),
        ),
        (["License: MIT", "Classifier: License :: MIT"], Licence(texts=("MIT",))),
    ],
)
def test_a_licence_is_an_expression_or_unclassified_text(
    headers: list[str], expected: Licence
) -> None:
    assert read(*headers) == expected


def test_only_the_beginning_of_a_whole_licence_text_is_kept() -> None:
    (text,) = read(f"License: {'x' * 500}\n        and more lines").texts
    assert text == f"{'x' * 100}..."


def test_a_licence_without_any_statement_is_called_that() -> None:
    assert str(Licence()) == "not declared"
    assert str(Licence(texts=("BSD", "BSD License"))) == "BSD; BSD License"


@given(st.text(), st.lists(st.text(max_size=50), max_size=3))
def test_whatever_a_wheel_declares_fits_into_a_table(text: str, classifiers: list[str]) -> None:
    licence = licence_of(
        {"license": text, "classifiers": [f"License :: {name}" for name in classifiers]}
    )
    assert str(licence).isprintable()
    assert len(str(licence)) <= 110 * 4 + 10
